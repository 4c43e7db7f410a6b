/**
 * What tasks were given and gave, as far as it was seen.
 *
 * Owns: the newest values per node until they are sent, and the way back to them for those who ask for more. Does not own:
 * finding them (run-tracker.ts).
 *
 * Invariants
 * 1. Values are written as text when they are sent: once per frame, and at most `TEXTS_PER_TAKE` of them and about
 *    `CHARACTERS_PER_TAKE` at a time. The rest comes with the next frames.
 * 2. A run's memory does not grow by being watched: what was sent whole is not held, and of what was cut only the last few are.
 */
import type { NodeId } from '../core/graph.ts';
import type { SerializedError } from '../core/errors.ts';
import type { MessageBase, TaskValues, ValueText, ValuesMessage } from './messages.ts';
import type { Redactor } from './redact.ts';
import { errorSummary, valueText } from './values.ts';

const TEXTS_PER_TAKE = 40;
const CHARACTERS_PER_TAKE = 64_000;
/** Of one value; where many come at once only the beginning. */
const TEXT_MOST = 16_000;
const TEXT_LEAST = 1000;
const NODES_KEPT = 500;
const CUT_KEPT = 8;

interface Seen {
  input?: { readonly value: unknown };
  output?: { readonly value: unknown };
  error?: SerializedError;
}

type Which = 'input' | 'output';

interface Budget {
  left: number;
  readonly written: Map<unknown, ValueText>;
}

export class ValueLedger {
  readonly #redactor: Redactor;
  readonly #changed = new Map<NodeId, Seen>();
  readonly #errors = new Map<NodeId, SerializedError>();
  /** Objects are found again as long as the run, or anyone else, still holds them. */
  readonly #known = new Map<string, WeakRef<object> | { readonly value: unknown }>();
  /** The last ones that were cut. */
  readonly #cut = new Map<string, { readonly value: unknown }>();
  #run: Seen = {};
  #runChanged: Seen = {};

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  input(node: NodeId, value: unknown): void {
    this.#note(node, { input: { value } });
  }

  output(node: NodeId, value: unknown): void {
    this.#note(node, { output: { value } });
  }

  error(node: NodeId, error: SerializedError): void {
    this.#note(node, { error });
    keep(this.#errors, node, error, NODES_KEPT);
  }

  /** Held as long as the run is known. */
  ofRun(which: Which, value: unknown): void {
    this.#run[which] = { value };
    this.#runChanged[which] = { value };
  }

  /** What is still known of a node's latest execution. */
  find(node: NodeId, which: Which): { readonly value: unknown } | undefined {
    const key = `${which} ${node}`;
    const held = this.#changed.get(node)?.[which] ?? this.#cut.get(key) ?? this.#known.get(key);
    if (held === undefined || 'value' in held) return held;
    const value = held.deref();
    return value === undefined ? undefined : { value };
  }

  findError(node: NodeId): SerializedError | undefined {
    return this.#errors.get(node);
  }

  get run(): Readonly<Seen> {
    return this.#run;
  }

  take(base: MessageBase): ValuesMessage | undefined {
    const { input, output } = this.#runChanged;
    if (this.#changed.size === 0 && input === undefined && output === undefined) return undefined;
    this.#runChanged = {};
    const budget: Budget = { left: CHARACTERS_PER_TAKE, written: new Map() };
    const ofRun = (which: Which, value: unknown): ValueText => this.#text(['run', which], value, budget);
    const run = { ...(input && { input: ofRun('input', input.value) }), ...(output && { output: ofRun('output', output.value) }) };
    const entries: [NodeId, TaskValues][] = [];
    for (const [node, seen] of this.#changed) {
      if (entries.length >= TEXTS_PER_TAKE) break;
      this.#changed.delete(node);
      entries.push([node, this.#texts(node, seen, budget)]);
    }
    return { ...base, type: '@taskchart.values', nodes: Object.fromEntries(entries), ...run };
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  #texts(node: NodeId, { input, output, error }: Seen, budget: Budget): TaskValues {
    return {
      ...(input && { input: this.#text([node, 'input'], input.value, budget) }),
      ...(output && { output: this.#text([node, 'output'], output.value, budget) }),
      ...(error && { error: errorSummary(error, this.#redactor, [node, 'error']) }),
    };
  }

  #text(path: readonly [string, Which], value: unknown, budget: Budget): ValueText {
    const text = this.#write(path, value, budget);
    const key = `${path[1]} ${path[0]}`;
    const isObject = typeof value === 'object' && value !== null;
    this.#known.delete(key);
    this.#cut.delete(key);
    if (isObject || text.cut === undefined) keep(this.#known, key, isObject ? new WeakRef(value) : { value }, NODES_KEPT);
    if (text.cut === true) keep(this.#cut, key, { value }, CUT_KEPT);
    return text;
  }

  /** One value is often the output of a task, the input of the next, and that of a group: where nothing is redacted their texts are one. */
  #write(path: readonly string[], value: unknown, budget: Budget): ValueText {
    const known = budget.written.get(value);
    if (known !== undefined) return known;
    const text = valueText(value, Math.max(TEXT_LEAST, Math.min(TEXT_MOST, budget.left)), this.#redactor, path);
    budget.left -= text.text.length;
    if (this.#redactor.idle) budget.written.set(value, text);
    return text;
  }

  #note(node: NodeId, seen: Seen): void {
    this.#changed.set(node, { ...this.#changed.get(node), ...seen });
  }
}

/** The newest entries of a map. */
function keep<K, V>(map: Map<K, V>, key: K, value: V, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
  }
}
