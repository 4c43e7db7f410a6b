/**
 * From a machine's config, as it came with the stream, to states and transitions.
 *
 * Owns: reading the JSON, finding targets. Does not own: the layout (layout.ts), drawing.
 *
 * Invariants
 * 1. The text comes from outside: whatever it holds, reading it gives a chart or nothing, and never throws.
 * 2. The chart is bounded, in states and in depth.
 */
export interface ChartState {
  /** The keys from the root down, with dots; the root's is empty. */
  readonly path: string;
  readonly key: string;
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history';
  readonly initial: string | undefined;
  readonly children: readonly ChartState[];
  readonly transitions: readonly ChartTransition[];
  /** `entry / action`, `invoke actor`. */
  readonly notes: readonly string[];
  readonly description: string | undefined;
}

export interface ChartTransition {
  readonly from: string;
  /** Absent: it stays where it is. */
  readonly to: string | undefined;
  /** As an event's type is in the stream. */
  readonly event: string;
  /** As it is drawn. */
  readonly label: string;
  readonly guard: string | undefined;
}

type Raw = Readonly<Record<string, unknown>>;

const STATES_READ = 1500;
const DEPTH_READ = 30;

export function readChart(definition: string | undefined, name: string): ChartState | undefined {
  if (definition === undefined) return undefined;
  try {
    const raw: unknown = JSON.parse(definition);
    return isRaw(raw) && (isRaw(raw['states']) || isRaw(raw['on'])) ? new Reader(raw).read(name) : undefined;
  } catch {
    return undefined;
  }
}

class Reader {
  readonly #root: Raw;
  /** Paths by the ids that states were given. */
  readonly #ids = new Map<string, string>();
  #left = STATES_READ;

  constructor(root: Raw) {
    this.#root = root;
    this.#collectIds(root, '', 0);
  }

  read(name: string): ChartState {
    return this.#state(this.#root, '', typeof this.#root['id'] === 'string' ? this.#root['id'] : name, 0);
  }

  #state(raw: Raw, path: string, key: string, depth: number): ChartState {
    const children: ChartState[] = [];
    for (const [inner, state] of entries(raw['states'])) {
      if (depth >= DEPTH_READ || this.#left <= 0 || !isRaw(state)) continue;
      this.#left -= 1;
      children.push(this.#state(state, join(path, inner), inner, depth + 1));
    }
    const given = raw['type'];
    const type = given === 'parallel' || given === 'final' || given === 'history' ? given : children.length > 0 ? 'compound' : 'atomic';
    const initial = typeof raw['initial'] === 'string' ? raw['initial'] : undefined;
    return { path, key, type, initial, children, transitions: this.#transitions(raw, path), notes: notesOf(raw), description: text(raw['description']) };
  }

  #transitions(raw: Raw, path: string): ChartTransition[] {
    const list: ChartTransition[] = [];
    const add = (event: string, label: string, given: unknown): void => {
      for (const one of listOf(given)) list.push(...this.#targets(one, path, event, label));
    };
    for (const [event, given] of entries(raw['on'])) add(event, event === '*' ? 'any event' : event, given);
    for (const [delay, given] of entries(raw['after'])) add(`xstate.after.${delay}`, `after ${/^\d+$/.test(delay) ? `${delay} ms` : delay}`, given);
    add('', 'always', raw['always'] ?? []);
    add('xstate.done.state', 'done', raw['onDone'] ?? []);
    for (const one of listOf(raw['invoke'])) {
      if (!isRaw(one)) continue;
      const id = text(one['id']) ?? nameOf(one['src']) ?? 'actor';
      add(`xstate.done.actor.${id}`, `${id} done`, one['onDone'] ?? []);
      add(`xstate.error.actor.${id}`, `${id} failed`, one['onError'] ?? []);
      add(`xstate.snapshot.${id}`, `${id} changed`, one['onSnapshot'] ?? []);
    }
    return list;
  }

  #targets(one: unknown, path: string, event: string, label: string): ChartTransition[] {
    const raw: Raw = isRaw(one) ? one : { target: one };
    const guard = nameOf(raw['guard'] ?? raw['cond']);
    const actions = namesOf(raw['actions']);
    const shown = actions.length === 0 ? label : `${label} / ${actions.join(', ')}`;
    const targets = listOf(raw['target']).filter((target) => typeof target === 'string');
    if (targets.length === 0) return [{ from: path, to: undefined, event, label: shown, guard }];
    return targets.map((target) => ({ from: path, to: this.#resolve(target, path), event, label: shown, guard }));
  }

  #resolve(target: string, path: string): string {
    if (target.startsWith('.')) return join(path, target.slice(1));
    if (!target.startsWith('#')) return join(parentOf(path), target);
    const name = target.slice(1);
    for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1)) {
      const known = this.#ids.get(name.slice(0, end));
      if (known !== undefined) return join(known, name.slice(end + 1));
    }
    return path;
  }

  #collectIds(raw: Raw, path: string, depth: number): void {
    if (typeof raw['id'] === 'string') this.#ids.set(raw['id'], path);
    if (depth >= DEPTH_READ) return;
    for (const [key, state] of entries(raw['states'])) if (isRaw(state)) this.#collectIds(state, join(path, key), depth + 1);
  }
}

function notesOf(raw: Raw): string[] {
  const notes: string[] = [];
  const entry = namesOf(raw['entry']);
  const exit = namesOf(raw['exit']);
  if (entry.length > 0) notes.push(`entry / ${entry.join(', ')}`);
  if (exit.length > 0) notes.push(`exit / ${exit.join(', ')}`);
  for (const one of listOf(raw['invoke'])) {
    const src = isRaw(one) ? nameOf(one['src']) ?? text(one['id']) : nameOf(one);
    if (src !== undefined) notes.push(`invoke ${src}`);
  }
  return notes;
}

/** Functions have left nothing in JSON: they have no name to show. */
function namesOf(value: unknown): string[] {
  return listOf(value).map(nameOf).filter((name) => name !== undefined);
}

function nameOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return isRaw(value) ? text(value['type']) ?? text(value['id']) : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function entries(value: unknown): [string, unknown][] {
  return isRaw(value) ? Object.entries(value) : [];
}

function isRaw(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function join(path: string, key: string): string {
  return path === '' ? key : key === '' ? path : `${path}.${key}`;
}

export function parentOf(path: string): string {
  return path.includes('.') ? path.slice(0, path.lastIndexOf('.')) : '';
}

/** The paths of all states that a value of a snapshot says are active; the root's is one of them. */
export function activePaths(value: unknown): Set<string> {
  const active = new Set<string>(['']);
  const walk = (at: unknown, path: string, depth: number): void => {
    if (typeof at === 'string') active.add(join(path, at));
    else if (isRaw(at) && depth < DEPTH_READ) {
      for (const [key, inner] of Object.entries(at)) {
        active.add(join(path, key));
        walk(inner, join(path, key), depth + 1);
      }
    }
  };
  walk(value, '', 0);
  return active;
}

/** A value of a snapshot in a line. */
export function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!isRaw(value)) return '';
  return Object.entries(value).map(([key, inner]) => {
    const deeper = valueText(inner);
    return deeper === '' ? key : `${key}.${deeper.includes(' ') ? `(${deeper})` : deeper}`;
  }).join(' ');
}
