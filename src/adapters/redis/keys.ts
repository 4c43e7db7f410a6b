/** The names of all keys of a namespace. One hash tag, so that a cluster keeps them together. */

export interface Keys {
  /** The pub/sub channel of hints. */
  readonly control: string;
  readonly workers: string;
  readonly dead: string;
  queue(queue: string): string;
  slot(worker: string, slot: number): string;
  lease(worker: string): string;
  coordinator(run: string): string;
  sequence(run: string): string;
  results(run: string): string;
  taken(run: string): string;
  cancelled(run: string): string;
  shared(run: string, name: string): string;
}

/** `prefix` stands before everything, hash tag included. */
export function keysOf(namespace = 'taskchart', prefix = ''): Keys {
  const base = `${prefix}{${namespace}}:`;
  return {
    control: `${base}ctl`,
    workers: `${base}workers`,
    dead: `${base}dead`,
    queue: (queue) => `${base}q:${queue}`,
    slot: (worker, slot) => `${base}w:${worker}:${slot}`,
    lease: (worker) => `${base}lease:${worker}`,
    coordinator: (run) => `${base}coord:${run}`,
    sequence: (run) => `${base}seq:${run}`,
    results: (run) => `${base}res:${run}`,
    taken: (run) => `${base}taken:${run}`,
    cancelled: (run) => `${base}cancel:${run}`,
    shared: (run, name) => `${base}grp:${run}:${name}`,
  };
}
