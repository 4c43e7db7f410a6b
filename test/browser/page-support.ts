/** A relay that serves the page as it is in the sources, runs that are connected to it, and pages that look. */
import { connectInspector, startRelay, type ConnectedInspector, type ConnectOptions, type Relay, type RelayOptions } from '../../src/inspect.ts';
import { STREAM_VERSION } from '../../src/inspect/messages.ts';
import { buildPage } from '../../src/inspect/page/build.ts';
import { Gates } from './page-workflows.ts';
import type { Browser, OpenOptions } from './support/browser.ts';
import type { Page } from './support/page.ts';

let built: Promise<string> | undefined;

/** The page's text, made once per process. */
export function pageText(): Promise<string> {
  built ??= buildPage();
  return built;
}

export class Stage {
  readonly relay: Relay;
  readonly gates = new Gates();
  readonly #browser: Browser;
  readonly #inspectors: ConnectedInspector[] = [];
  readonly #pages: Page[] = [];

  static async open(browser: Browser, options: RelayOptions = {}): Promise<Stage> {
    return new Stage(browser, await startRelay({ page: await pageText(), ...options }));
  }

  constructor(browser: Browser, relay: Relay) {
    this.#browser = browser;
    this.relay = relay;
  }

  /** For the `inspect` of a run. Each is one process more, as the relay sees it. */
  inspector(options: ConnectOptions = {}): ConnectedInspector {
    const inspector = connectInspector(this.relay.url, options);
    this.#inspectors.push(inspector);
    return inspector;
  }

  async look(hash = '', options: OpenOptions = {}): Promise<Page> {
    const page = await this.#browser.open(`${this.relay.url}${hash}`, { width: 1440, height: 900, ...options });
    this.#pages.push(page);
    return page;
  }

  async close(): Promise<void> {
    for (const page of this.#pages) await page.close();
    for (const inspector of this.#inspectors) inspector.close();
    await this.relay.close();
  }
}

/** Of a box of the graph. */
export function box(id: string): string {
  return `.node[data-box=${JSON.stringify(id)}]`;
}

/** The part of a box that is picked. */
export function body(id: string): string {
  return `${box(id)} .node-body`;
}

/** True once a node is in a state. */
export function inState(id: string, state: string): string {
  return `document.querySelector(${JSON.stringify(box(id))})?.dataset.state === ${JSON.stringify(state)}`;
}

/** True once some text is shown in an element. */
export function shows(selector: string, text: string): string {
  return `document.querySelector(${JSON.stringify(selector)})?.innerText.includes(${JSON.stringify(text)})`;
}

/** The states of all boxes that are drawn, by id. */
export const states = 'Object.fromEntries(Array.from(document.querySelectorAll(".node"), (each) => [each.dataset.box, each.dataset.state]))';

/** Marks the first element that holds a text, for a selector of its own. */
export async function find(page: Page, selector: string, text: string): Promise<string> {
  const mark = `found-${text.replace(/\W/g, '')}`;
  await page.until(`(() => {
    document.querySelectorAll('[data-${mark}]').forEach((each) => each.removeAttribute('data-${mark}'));
    const found = Array.from(document.querySelectorAll(${JSON.stringify(selector)})).find((each) => each.innerText.includes(${JSON.stringify(text)}));
    found?.setAttribute('data-${mark}', '');
    return found !== undefined;
  })()`);
  return `[data-${mark}]`;
}

/** Goes from frame to frame of the history until a condition holds. */
export async function step(page: Page, key: string, condition: string): Promise<void> {
  while (!(await page.evaluate(condition))) {
    const before = await page.text('.time-step');
    await page.press(key);
    await page.until(`document.querySelector('.time-step').innerText !== ${JSON.stringify(before)}`);
  }
}

/** A name that is markup. Ids of tasks cannot be that, but whoever has the token can say anything. */
export const HOSTILE = '<img src=x onerror="document.title=\'owned\'">';

/** A source that is no process of ours: whoever has the token can say anything. */
export async function postHostileRun(relay: string): Promise<void> {
  const { origin, searchParams } = new URL(relay);
  const id = 'hostile0source0';
  const session = `${id}/x:0`;
  const base = { sessionId: session, rootId: session, createdAt: String(Date.now()), id: null, _version: STREAM_VERSION };
  const value = { text: JSON.stringify(HOSTILE) };
  const task = { state: 'failed', running: 0, waiting: 0, retrying: 0, done: 0, failed: 1, attempt: 1, iteration: 0 };
  const lines = [
    { type: 'hello', version: STREAM_VERSION, kind: 'node', title: HOSTILE, host: HOSTILE, dropped: 0, fresh: true },
    { ...base, type: '@xstate.actor', name: HOSTILE, definition: JSON.stringify({ id: HOSTILE, initial: HOSTILE, states: { [HOSTILE]: { on: { [HOSTILE]: { actions: HOSTILE, guard: HOSTILE } } } } }), snapshot: { status: 'active', value: HOSTILE, context: { [HOSTILE]: HOSTILE } } },
    { ...base, type: '@xstate.event', event: { type: HOSTILE, data: HOSTILE } },
    { ...base, type: '@taskchart.run', runId: HOSTILE, workflow: HOSTILE, state: 'running', origin: 'live', startedAt: Date.now(), at: Date.now(), revision: 1, steps: 1, counts: { queued: 0, running: 1, waiting: 0, retrying: 0, done: 0, failed: 1 }, control: ['signal'], error: { name: HOSTILE, message: HOSTILE, hint: HOSTILE } },
    { ...base, type: '@taskchart.graph', workflow: HOSTILE, graphHash: '1', root: HOSTILE, uses: [], complete: true, nodes: { [HOSTILE]: { id: HOSTILE, kind: 'task', next: 'after' }, after: { id: 'after', kind: 'wait', signal: HOSTILE } } },
    { ...base, type: '@taskchart.tasks', nodes: { [HOSTILE]: task } },
    { ...base, type: '@taskchart.values', nodes: { [HOSTILE]: { input: value, output: value, error: { name: HOSTILE, message: HOSTILE } } } },
    { ...base, type: '@taskchart.status', queue: { first: [], total: 0 }, inFlight: { first: [{ node: HOSTILE, key: HOSTILE, attempt: 1, iteration: 0, since: Date.now() }], total: 1 }, waitsFor: { first: [{ kind: 'signal', node: HOSTILE, key: HOSTILE, signal: HOSTILE, since: Date.now(), asked: true, question: value }], total: 1 }, keptSignals: { [HOSTILE]: 1 }, channel: { [HOSTILE]: value } },
    { ...base, type: '@taskchart.log', entries: [{ at: Date.now(), node: HOSTILE, key: HOSTILE, level: 'error', message: HOSTILE, data: value }], skipped: 0 },
  ];
  const response = await fetch(`${origin}/api/source/${id}`, { method: 'POST', headers: { authorization: `Bearer ${searchParams.get('token')}` }, body: lines.map((line) => `${JSON.stringify(line)}\n`).join('') });
  if (!response.ok) throw new Error(`the relay has refused the hostile run: ${response.status}`);
}
