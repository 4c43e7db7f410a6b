/**
 * Bugs that the simulation must see: exact pieces of the real sources, and what stands there instead. A piece that is not
 * there any more is an error: then the bug has to be planted anew.
 */
export interface Planted {
  readonly name: string;
  readonly file: string;
  readonly piece: string;
  readonly instead: string;
}

export const planted: readonly Planted[] = [
  {
    name: 'results leave the lists before they are saved',
    file: 'machines/coordinator/open.ts',
    piece: 'first !== undefined && first.revision <= now.durable; first = peek(now.accepted)',
    instead: 'first !== undefined; first = peek(now.accepted)',
  },
  {
    name: 'units leave before what planned them is durable',
    file: 'machines/coordinator/dispatch.ts',
    piece: 'if (picked.length >= room || unit.revision > draft.now.durable) break;',
    instead: 'if (picked.length >= room) break;',
  },
  {
    name: 'the journal is called durable before it is written',
    file: 'src/runtime/recorder.ts',
    piece: '    await this.#writer.append(lines, revision);',
    instead: '    this.#tell(revision);\n    await this.#writer.append(lines, revision);',
  },
  {
    name: 'nobody is fenced',
    file: 'src/adapters/simulated/run-operations.ts',
    piece: "held.epoch < fence.epoch ? { status: 'gone' } : { status: 'fenced' };",
    instead: "held.epoch < fence.epoch ? { status: 'gone' } : undefined;",
  },
  {
    name: 'what the audit misses is not pushed again',
    file: 'machines/coordinator/reconcile.ts',
    piece: 'for (const [queue, refs] of missing) goAgain(draft, draft.queue(queue), refs);',
    instead: '',
  },
  {
    name: 'the audit overlooks the slots',
    file: 'src/adapters/simulated/run-operations.ts',
    piece: '[...queues.map(keys.queue), ...slots]',
    instead: '[...queues.map(keys.queue)]',
  },
  {
    name: 'a batch number is used twice',
    file: 'machines/coordinator/dispatch.ts',
    piece: '  now.seq = batch;',
    instead: '  now.seq = batch - 1;',
  },
  {
    name: 'channel operations are applied twice',
    file: 'machines/execution-context/units.ts',
    piece: 'const misfit = end.channel === undefined ? undefined : applyOperations(draft, end.channel);',
    instead: 'const misfit = end.channel === undefined ? undefined : (applyOperations(draft, end.channel) ?? applyOperations(draft, end.channel));',
  },
  {
    name: 'a parked branch loses the signal that it waited for',
    file: 'machines/execution-context/units.ts',
    piece: 'signals: [...handed.signals, [signal[0], ...signal[1]]]',
    instead: 'signals: handed.signals',
  },
  {
    name: 'a branch that comes back begins anew',
    file: 'machines/execution-context/units.ts',
    piece: '{ branch: handed.branch, signals: handed.signals }',
    instead: '{}',
  },
  {
    name: 'a branch has keys of its own',
    file: 'machines/execution-context/branch.ts',
    piece: 'attempt: 1, iteration: 0, hop: 0, path, main: true',
    instead: "attempt: 1, iteration: 0, hop: 0, path: `${path}x`, main: true",
  },
  {
    name: 'units are taken from workers that live',
    file: 'src/adapters/simulated/worker-operations.ts',
    piece: '    if (lists.has(keys.lease(entry.worker))) continue;\n',
    instead: '',
  },
  {
    name: 'an ended run leaves its shared parts behind',
    file: 'src/adapters/simulated/run-operations.ts',
    piece: 'for (const key of [...runKeys(keys, run), ...names.map((name) => keys.shared(run, name))]) lists.remove(key);',
    instead: 'for (const key of runKeys(keys, run)) lists.remove(key);',
  },
];
