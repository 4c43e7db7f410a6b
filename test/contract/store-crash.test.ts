/** A run in files, cut at every call to the file system, by a crash or by a power cut; and every call failing. */
import { beforeAll, describe, expect, it } from 'vitest';
import { isTaskchartError } from '../../src/core/errors.ts';
import { Disk, type Loss } from './store/disk.ts';
import { checkLegal, goOn, live, once, posting, retrying, store, Witness } from './store/script.ts';

let length = 0;
let log: readonly string[] = [];

async function liveOn(disk: Disk, witness: Witness, retry = once): Promise<void> {
  posting.set(witness, store(disk));
  await live(disk, witness, retry);
}

beforeAll(async () => {
  const disk = new Disk();
  await liveOn(disk, new Witness());
  length = disk.calls;
  log = [...disk.log];
});

async function cutAt(stopAt: number, share: number): Promise<{ disk: Disk; witness: Witness }> {
  const disk = new Disk();
  const witness = new Witness();
  disk.plan({ stopAt, share });
  const done = liveOn(disk, witness).catch((thrown: unknown) => {
    if (!disk.hasStopped) throw thrown;
  });
  await Promise.race([done, disk.stopped]);
  return { disk, witness };
}

describe('a run whose process dies', { timeout: 60_000 }, () => {
  it('makes the calls that it must, and none for nothing', () => {
    expect(length).toBeGreaterThan(200);
    const appends = log.map((call, at) => [call, log[at + 1]]).filter(([call, next]) => call?.startsWith('write') && next?.startsWith('sync'));
    expect(appends.length).toBeGreaterThan(10);
  });

  const losses: readonly (readonly [name: string, loss: Loss])[] = [
    ['a crash', 'none'],
    ['a power cut that takes all that was not synced', 'all'],
    ...[1, 2, 3, 4, 5, 6].map((seed) => [`a power cut that takes some of it (${seed})`, seed * 7919] as const),
  ];

  it.each(losses)('keeps what was acknowledged, after %s at every call', async (name, loss) => {
    let cuts = 0;
    for (let stopAt = 1; stopAt <= length; stopAt++) {
      const shares = log[stopAt - 1]?.startsWith('write') === true ? [0, 0.3, 0.9, 1] : [0];
      for (const share of shares) {
        const { disk, witness } = await cutAt(stopAt, share);
        await goOn(disk.survivor(typeof loss === 'number' ? loss + stopAt : loss), witness, `${name} at call ${stopAt} (${log[stopAt - 1] ?? ''}, ${share})`);
        cuts += 1;
      }
    }
    expect(cuts).toBeGreaterThan(length);
  });

  it('keeps it also when the next process dies while it opens the run, at every call', async () => {
    let cuts = 0;
    for (let stopAt = 5; stopAt <= length; stopAt += 7) {
      const { disk, witness } = await cutAt(stopAt, 0.5);
      for (const loss of ['none', 'all'] as const) {
        for (let second = 1; second < 60; second++) {
          const next = disk.survivor(loss);
          next.plan({ stopAt: second, share: 0.5 });
          const where = `${loss} at ${stopAt}, then at ${second}`;
          const copy = witness.copy();
          const done = goOn(next, copy, where).then(() => true, (thrown: unknown) => {
            if (!next.hasStopped) throw thrown;
          });
          const finished = await Promise.race([done, next.stopped]);
          if (finished === true) break;
          await checkLegal(next.survivor(loss), copy, where);
          cuts += 1;
        }
      }
    }
    expect(cuts).toBeGreaterThan(500);
  });
});

describe('a disk that refuses calls', { timeout: 60_000 }, () => {
  const codes = ['ENOSPC', 'EIO', 'EACCES', 'EMFILE'];

  it.each(codes)('%s at any call: the write is refused, what was acknowledged stays, the same write made again succeeds', async (code) => {
    let refused = 0;
    for (let failAt = 1; failAt <= length; failAt++) {
      const disk = new Disk();
      const witness = new Witness();
      disk.plan({ fails: (call) => (call === failAt ? code : undefined) });
      const where = `${code} at call ${failAt} (${log[failAt - 1] ?? ''})`;
      await liveOn(disk, witness, retrying(witness)).catch((thrown: unknown) => {
        throw new Error(where, { cause: thrown });
      });
      for (const refusal of witness.refusals) {
        if (!isTaskchartError(refusal) || refusal.name !== 'CheckpointError') throw new Error(`${where} gave another error`, { cause: refusal });
        refused += 1;
      }
      await goOn(disk.survivor('all'), witness, where);
    }
    expect(refused).toBeGreaterThan(100);
  });

  it.each(codes)('%s from some call on: everything is refused, what was acknowledged stays', async (code) => {
    for (let failFrom = 1; failFrom <= length; failFrom++) {
      const disk = new Disk();
      const witness = new Witness();
      const reading = new Set(['facts', 'names', 'list', 'read']);
      disk.plan({ fails: (call, name) => (call >= failFrom && !reading.has(name) ? code : undefined) });
      const thrown: unknown = await liveOn(disk, witness).then(() => undefined, (error: unknown) => error);
      const where = `${code} from call ${failFrom} (${log[failFrom - 1] ?? ''})`;
      if (thrown !== undefined && !isTaskchartError(thrown)) throw new Error(`${where} gave another error`, { cause: thrown });
      disk.plan({});
      await checkLegal(disk, witness, where);
      await goOn(disk.survivor('all'), witness, where);
    }
    expect(length).toBeGreaterThan(200);
  });

  it('says which: no space, no access, a read-only disk, too many files', async () => {
    const meanings = { ENOSPC: 'checkpoint/no-space', EDQUOT: 'checkpoint/no-space', EACCES: 'checkpoint/no-access', EROFS: 'checkpoint/no-access', EMFILE: 'checkpoint/storage', EIO: 'checkpoint/storage' };
    for (const [errno, code] of Object.entries(meanings)) {
      const disk = new Disk();
      const witness = new Witness();
      posting.set(witness, store(disk));
      const writer = await store(disk).open('r', { host: 'h', pid: 1, since: 1 });
      await writer.save('{"workflow":"w"}', 0);
      await writer.append(['1'], 1);
      disk.plan({ fails: (_, name) => (name === 'write' || name === 'create' || name === 'rename' || name === 'link' ? errno : undefined) });
      const refusals = [writer.append(['2'], 2), writer.append(['3'], 3), store(disk).open('r', { host: 'h', pid: 2, since: 2 }), store(disk).post('r', 'x')];
      for (const refusal of await Promise.allSettled(refusals)) {
        expect(refusal).toMatchObject({ status: 'rejected', reason: { name: 'CheckpointError', code, details: { errno }, hint: expect.any(String) as string } });
      }
      await expect(writer.append(['2'], 2)).rejects.toThrow(/Could not append to run "r" \(revision 1 is stored\) in \/data\/runs\/r: .+/);
      disk.plan({});
      // What was refused may be there, as after a crash, but never with a gap.
      const stored = await store(disk).load('r');
      expect(stored).toMatchObject({ checkpoint: '{"workflow":"w"}', revision: 0 });
      expect(['1', '1,2', '1,2,3']).toContain(stored?.journal.join());
      await expect(writer.append(['3'], 3), 'a gap').rejects.toMatchObject({ code: 'checkpoint/out-of-order' });
      await writer.append(['2'], 2);
      await writer.append(['3'], 3);
      expect((await store(disk).load('r'))?.journal).toEqual(['1', '2', '3']);
    }
  });
});
