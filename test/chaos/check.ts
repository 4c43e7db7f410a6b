/**
 * What must hold after chaos: Jepsen's total-queue check over the witness file. Every task execution that the graph has was
 * executed at least once (none is lost), none that it has not (none is unexpected); repeats are counted, and each lies in
 * the time of a fault that explains it.
 */
export interface Line {
  readonly what: 'begin' | 'end';
  readonly run: string;
  /** The execution's key without the run. */
  readonly key: string;
  readonly attempt: number;
  readonly pid: number;
  readonly at: number;
}

/** A fault, from its first effect until everybody has got over it. */
export interface Span {
  readonly kind: string;
  readonly from: number;
  readonly to: number;
}

export interface Tally {
  readonly executions: number;
  readonly lost: readonly string[];
  readonly unexpected: readonly string[];
  readonly repeated: number;
  readonly unexplained: readonly string[];
}

export function readWitness(text: string): Line[] {
  return text.split('\n').slice(0, -1).map((line) => {
    const [what, key = '', attempt, pid, at] = line.split(' ');
    const slash = key.indexOf('/');
    if ((what !== 'begin' && what !== 'end') || slash < 0) throw new Error(`the witness has a line that nobody writes: ${line.slice(0, 200)}`);
    return { what, run: key.slice(0, slash), key: key.slice(slash + 1), attempt: Number(attempt), pid: Number(pid), at: Number(at) };
  });
}

/** `expected`: the ends of one run without faults, as `key attempt`. */
export function tally(lines: readonly Line[], runs: readonly string[], expected: ReadonlySet<string>, faults: readonly Span[]): Tally {
  const ended = new Map<string, Line[]>();
  const begun = new Map<string, Line[]>();
  for (const line of lines) {
    const map = line.what === 'end' ? ended : begun;
    const name = `${line.run} ${line.key} ${line.attempt}`;
    map.set(name, [...(map.get(name) ?? []), line]);
  }
  const wanted = new Set(runs.flatMap((run) => [...expected].map((key) => `${run} ${key}`)));
  const lost = [...wanted].filter((name) => !ended.has(name));
  const known = new Set(runs);
  const unexpected = [...ended.keys()].filter((name) => known.has(name.slice(0, name.indexOf(' '))) && !wanted.has(name));
  const repeats = [...begun].filter(([, list]) => list.length > 1);
  const unexplained = repeats.filter(([, list]) => !list.slice(1).every((line, at) => isExplained((list[at] as Line).at, line.at, faults))).map(([name]) => name);
  return { executions: lines.filter(({ what }) => what === 'begin').length, lost, unexpected, repeated: repeats.reduce((sum, [, list]) => sum + list.length - 1, 0), unexplained };
}

/** Some fault began before the repeat, and was not over before the execution that it repeats. */
function isExplained(first: number, again: number, faults: readonly Span[]): boolean {
  return faults.some(({ from, to }) => from <= again && to >= first);
}
