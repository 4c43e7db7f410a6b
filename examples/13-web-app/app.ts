/** The page: shows the machine's state, sends it events, and keeps its snapshot over reloads. */
import { createActor, type SnapshotFrom } from 'xstate';
import { app } from './machine.ts';

const key = 'prime-counter';

function saved(): SnapshotFrom<typeof app> | undefined {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null') ?? undefined;
  } catch {
    return undefined; // no JSON: begin anew
  }
}

function start(): void {
  const actor = createActor(app, { snapshot: saved() });
  actor.subscribe((snapshot) => {
    localStorage.setItem(key, JSON.stringify(actor.getPersistedSnapshot()));
    show(snapshot);
  });
  actor.start();
  onSubmit('start', ({ below }) => actor.send({ type: 'START', below: Number(below) }));
  onSubmit('keep', ({ note = '' }) => actor.send({ type: 'KEEP', note }));
  element('pause').onclick = () => actor.send({ type: actor.getSnapshot().context.phase === 'paused' ? 'RESUME' : 'PAUSE' });
  element('stop').onclick = () => actor.send({ type: 'STOP' });
}

function show({ context, value }: SnapshotFrom<typeof app>): void {
  const { phase, spans, done, primes, kept, problem } = context;
  const counting = value === 'counting';
  const asks = counting && phase === 'waiting';
  element('start').hidden = counting;
  element('counting').hidden = !counting || asks;
  element('keep').hidden = !asks;
  element('problem').textContent = problem;
  element('pause').textContent = phase === 'paused' ? 'Go on' : 'Pause';
  for (const each of document.querySelectorAll('.primes')) each.textContent = primes.toLocaleString('en');
  for (const each of document.querySelectorAll('.below')) each.textContent = context.below.toLocaleString('en');
  element('spans').textContent = `${done} of ${spans} spans`;
  element('bar').setAttribute('value', String(spans === 0 ? 0 : done / spans));
  element('kept').replaceChildren(...kept.map((one) => {
    const line = document.createElement('li');
    line.textContent = `${one.primes.toLocaleString('en')} below ${one.below.toLocaleString('en')}${one.note === '' ? '' : `: ${one.note}`}`;
    return line;
  }));
}

function onSubmit(id: string, take: (fields: Record<string, string>) => void): void {
  const form = element(id) as HTMLFormElement;
  form.onsubmit = (event) => {
    event.preventDefault();
    take(Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)])));
  };
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element "${id}"`);
  return found;
}

// A run has one owner. A second tab waits here, and takes over from the saved snapshot when the first is closed.
const soon = setTimeout(() => { element('elsewhere').hidden = false; }, 300);
void navigator.locks.request(key, () => {
  clearTimeout(soon);
  element('elsewhere').hidden = true;
  start();
  return new Promise(() => undefined);
});
