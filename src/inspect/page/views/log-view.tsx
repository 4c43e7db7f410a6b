/** What tasks have logged. */
import { useState } from 'preact/hooks';
import type { RunPicture } from '../../fold.ts';
import type { LogEntry } from '../../messages.ts';
import { clock, grouped, pretty } from '../model/format.ts';
import { Name, Quiet } from './parts.tsx';
import { VirtualList } from './virtual-list.tsx';

const levels = ['debug', 'info', 'warn', 'error'] as const;

export function LogView({ picture, live, onNode }: { picture: RunPicture; live: boolean; onNode: (node: string) => void }) {
  const [least, setLeast] = useState<(typeof levels)[number]>('debug');
  const [text, setText] = useState('');
  const [picked, setPicked] = useState<LogEntry | undefined>();
  const wanted = text.trim().toLowerCase();
  const shown = picture.logs.filter(({ level, message, node }) => levels.indexOf(level) >= levels.indexOf(least) && (wanted === '' || message.toLowerCase().includes(wanted) || node.toLowerCase().includes(wanted)));
  return (
    <div class="sequence">
      <div class="bar-line">
        <input class="field filter" type="search" placeholder="Filter by text or task" aria-label="Filter the log" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        <label class="pick"><span>From level</span><select class="field" value={least} onChange={(event) => setLeast(event.currentTarget.value as typeof least)}>{levels.map((level) => <option key={level}>{level}</option>)}</select></label>
        <span class="quiet">{grouped(shown.length)} of the newest {grouped(picture.logs.length)}</span>
      </div>
      <div class="lane-body">
        {shown.length === 0 && <div class="blank over"><Quiet>{picture.logs.length === 0 ? 'No task has logged anything (ctx.log).' : 'No entry fits.'}</Quiet></div>}
        <VirtualList length={shown.length} rowHeight={24} label="Log" class="log" follow={live} picked={picked === undefined ? undefined : shown.indexOf(picked)} onPick={(index) => setPicked(shown[index])}
          row={(index) => {
            const entry = shown[index];
            return entry === undefined ? null : <><span class="lane-time">{clock(entry.at, true)}</span><span class={`level ${entry.level}`}>{entry.level}</span><Name text={entry.node} class="log-node" /><span class="log-text">{entry.message}{entry.data === undefined ? '' : `  ${entry.data.text}`}</span></>;
          }} />
      </div>
      <div class="drawer">
        {picked === undefined ? <Quiet>Pick an entry to see all of it.</Quiet> : (
          <>
            <p class="drawer-head"><button type="button" class="link" onClick={() => onNode(picked.node)}><Name text={picked.node} /></button> <span class="quiet">{picked.level}, {clock(picked.at, true)}, execution <Name text={picked.key} class="mono" /></span></p>
            <p class="log-full">{picked.message}</p>
            {picked.data !== undefined && <pre class="value">{pretty(picked.data)}</pre>}
          </>
        )}
      </div>
    </div>
  );
}
