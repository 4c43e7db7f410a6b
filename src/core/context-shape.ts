/**
 * Whether the maps and queues of a run's context can be walked, where the context comes from a file or from a worker.
 *
 * Owns: the shape of the two collections (machines/execution-context/vec.ts, queue.ts) and where a context has them. Does not own:
 * what the values in them mean.
 *
 * Invariants
 * 1. A context without a fault has no collection whose walk takes more steps than its text has characters.
 * 2. Looks at each place of a collection once, and copies nothing.
 * 3. A field that is absent is no fault: whoever needs it says so.
 */

/** What cannot be. `path` begins behind the context, with a dot. */
export interface ShapeFault {
  readonly path: string;
  readonly found: unknown;
  readonly wanted: string;
}

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => ShapeFault | undefined;

/** As in vec.ts: places of an array, and levels below the root. */
const WIDTH = 32;
const DEEPEST = 5;
/** As in queue.ts. */
const CHUNK = 128;

const ids = mapOf(record);
const counts = mapOf((value) => (typeof value === 'number' ? undefined : { path: '', found: value, wanted: 'a number' }));
/** A list inside a cell is a box for one value. */
const cells = mapOf((value) => (Array.isArray(value) && value.length > 1 ? { path: '', found: value, wanted: 'a cell' } : undefined));
const queue: Check = queueFault;
const scope = fieldsOf({ queue });
const handed = mapOf(fieldsOf({ branch: contextFault }));
const group = fieldsOf({ outcomes: cells, apart: counts, ready: queue, needs: counts, handed });
const contextFields = fieldsOf({
  root: scope, branches: mapOf(scope), groups: mapOf(group), inFlight: ids, delayed: ids, waits: ids, completions: counts, operations: ids,
});

/** The first collection of a context that is none, if there is one. It may recurse: what it is given is not nested deeply. */
export function contextFault(context: unknown): ShapeFault | undefined {
  return contextFields(context);
}

function fieldsOf(checks: Readonly<Record<string, Check>>): Check {
  const list = Object.entries(checks);
  return (value) => {
    if (!isRecord(value)) return record(value);
    for (const [name, check] of list) {
      const field = Object.hasOwn(value, name) ? value[name] : undefined;
      const fault = field === undefined ? undefined : check(field);
      if (fault !== undefined) return { ...fault, path: `.${name}${fault.path}` };
    }
    return undefined;
  };
}

function mapOf(check: Check): Check {
  return (value) => {
    if (!isRecord(value)) return { path: '', found: value, wanted: 'a map' };
    const { size, depth, root } = value;
    if (!isCount(depth) || depth > DEEPEST) return { path: '.depth', found: depth, wanted: `a whole number from 0 to ${DEEPEST}` };
    const there = valuesUnder(root, depth, 0, check);
    if (typeof there !== 'number') return there;
    return size === there ? undefined : { path: '.size', found: size, wanted: `the number of its values, ${there}` };
  };
}

/** How many values are in a part of a map. */
function valuesUnder(node: unknown, level: number, base: number, check: Check): number | ShapeFault {
  if (!Array.isArray(node) || node.length > WIDTH) return { path: '.root', found: node, wanted: `a list of up to ${WIDTH} places, nested ${level} deep` };
  let count = 0;
  for (let at = 0; at < node.length; at += 1) {
    const child: unknown = node[at];
    if (child === null || child === undefined) continue;
    const key = base + at * WIDTH ** level;
    if (level > 0) {
      const below = valuesUnder(child, level - 1, key, check);
      if (typeof below !== 'number') return below;
      count += below;
      continue;
    }
    const fault = check(child);
    if (fault !== undefined) return { ...fault, path: `[${key}]${fault.path}` };
    count += 1;
  }
  return count;
}

function queueFault(value: unknown): ShapeFault | undefined {
  if (!isRecord(value)) return { path: '', found: value, wanted: 'a queue' };
  const { size, head, chunks, tail } = value;
  if (!Array.isArray(chunks)) return { path: '.chunks', found: chunks, wanted: 'a list of chunks' };
  if (!Array.isArray(tail) || tail.length >= CHUNK) return { path: '.tail', found: tail, wanted: `a list of less than ${CHUNK} items` };
  let there = tail.length;
  for (const chunk of chunks as readonly unknown[]) {
    if (!Array.isArray(chunk) || chunk.length !== CHUNK) return { path: '.chunks', found: chunk, wanted: `lists of ${CHUNK} items each` };
    there += chunk.length;
  }
  const oldest = (chunks[0] ?? tail) as readonly unknown[];
  if (!isCount(head) || (head > 0 && head >= oldest.length)) return { path: '.head', found: head, wanted: 'a place in its oldest part' };
  return size === there - head ? undefined : { path: '.size', found: size, wanted: `the number of its items, ${there - head}` };
}

function record(value: unknown): ShapeFault | undefined {
  return isRecord(value) ? undefined : { path: '', found: value, wanted: 'an object' };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
