/** What to do when nothing is there, and which keys there are. */
import { useEffect, useRef } from 'preact/hooks';
import type { LinkState } from '../model/connection.ts';
import { Copy } from './parts.tsx';

/** The address of the relay, with the token of this page. */
function address(token: string): string {
  return `${location.origin}/?token=${token}`;
}

export function ConnectHelp({ token, link }: { token: string; link: LinkState }) {
  const url = address(token);
  const code = `import { connectInspector } from 'taskchart/inspect';\n\nconst inspect = connectInspector(\n  '${url}',\n);\nconst run = flow.start(input, { inspect });`;
  const variable = `TASKCHART_INSPECT='${url}' node app.js`;
  return (
    <div class="welcome">
      <h1>{link === 'refused' ? 'This address is no longer valid' : link === 'live' ? 'Nothing is connected yet' : 'Connecting to the relay…'}</h1>
      {link === 'refused'
        ? <p>The relay refuses the token in the address of this page; it was probably started again. Open the address that <code>taskchart inspect</code> has printed.</p>
        : (
          <>
            <p>Runs appear here as soon as a program connects. Start it with the address of this relay; its code stays as it is:</p>
            <Code text={variable} />
            <p>Or give the address in code, as in a browser, or for any other XState actor:</p>
            <Code text={code} />
            <p class="quiet">Several processes can connect, workers and coordinators too. A checkpoint file opens with <code>taskchart inspect --checkpoint file</code>.</p>
          </>
        )}
    </div>
  );
}

function Code({ text }: { text: string }) {
  return <div class="code"><Copy text={text} /><pre>{text}</pre></div>;
}

const keys = [
  ['1 to 5', 'graph, statechart, messages, queue, log'],
  ['[ and ]', 'the run before, the next run'],
  ['Arrow keys', 'in the graph: from box to box; in lists: up and down'],
  ['Enter', 'show what is focused'],
  ['o', 'open or close a group'],
  ['+, -, f', 'zoom, show all'],
  [', and .', 'one step back, one step on in the history'],
  ['l', 'back to live'],
  ['/', 'filter'],
  ['Escape', 'show the run again'],
] as const;

export function HelpDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} class="dialog" aria-label="Keys" onClose={onClose}>
      <h2>Keys</h2>
      <dl class="keys">{keys.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
      <form method="dialog" class="form-line end"><button class="button">Close</button></form>
    </dialog>
  );
}
