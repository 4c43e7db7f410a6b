/** Idempotency keys name the same work on both sides of a crash, whatever happens first on either side. */
import { describe, expect, it } from 'vitest';
import { dag, each, node, parallel, sequence, task, workflow, type Step } from 'taskchart';
import { VirtualClock } from 'taskchart/testing';
import { StrictStore } from './support/strict-store.ts';

/** A task that hands its number on, and is seen doing so. */
type Watched = (id: string) => Step<number, number, string>;

const shapes: Record<string, (watched: Watched) => Step<number, unknown, string>> = {
  'a group in a member': (watched) => parallel(watched('b'), watched('c')).as('inner'),
  'an each in a member': (watched) => task('list', (n: number) => [n * 10, n * 10 + 1]).to(each(watched('b'))).as('inner'),
  'a dag in a member': (watched) => {
    const pick = task('pick', ({ b }: { b: number }) => b).to(watched('c')).as('picked');
    return dag({ b: node(watched('b')), c: node(pick, { needs: ['b'] }) }).as('inner');
  },
  'a workflow in a member': (watched) => workflow('embedded', sequence(watched('b'), watched('c'))),
  'spawned tasks': (watched) => {
    const side = watched('side');
    return task('spawns', (n: number, ctx) => {
      ctx.nextTask(side, n);
      ctx.nextTask(side, n + 100);
      return n;
    }).to(watched('b')).as('inner');
  },
  'a loop that spawns': (watched) => {
    const side = watched('side');
    return task('loops', (n: number, ctx) => {
      if (ctx.iteration < 2) ctx.nextTask(side, n);
      return ctx.iteration < 2 ? ctx.nextIteration(n + 100) : n;
    }).to(watched('b')).as('inner');
  },
};

it.each(Object.keys(shapes))('%s', async (name) => {
  /** Which work was seen under which key, over both lives. */
  const seen = new Map<string, Set<string>>();
  const watched: Watched = (id) => task(id, (item: number, ctx) => {
    seen.set(ctx.idempotencyKey, (seen.get(ctx.idempotencyKey) ?? new Set()).add(`${id} of ${item}`));
    return item;
  });
  let gates = new Map<number, () => void>();
  const gate = task('gate', async (item: number) => {
    await new Promise<void>((resolve) => gates.set(item, resolve));
    return item;
  });
  const flow = workflow('keys', each(sequence(gate, shapes[name]!(watched))));
  const open = async (clock: VirtualClock, order: readonly number[]): Promise<void> => {
    for (const item of order) {
      await clock.settle();
      gates.get(item)?.();
    }
    await clock.settle();
  };

  const store = new StrictStore();
  const first = new VirtualClock();
  flow.start([0, 1, 2, 3], { store, runId: 'r', clock: first });
  await first.settle();
  // From here on nothing is stored any more, but the process does some work before it dies.
  store.kill('r');
  await open(first, [3, 1]);
  gates = new Map();
  const second = new VirtualClock();
  const run = await flow.resume(store, 'r', { clock: second });
  await open(second, [0, 2, 1, 3]);
  await run.result;

  expect([...seen].filter(([, work]) => work.size > 1).map(([key, work]) => `${key}: ${[...work].join(', ')}`)).toEqual([]);
  const works = [...seen.values()].flatMap((work) => [...work]);
  expect(works.toSorted()).toEqual([...new Set(works)].toSorted());
});

describe('long paths', () => {
  it('are bounded, and no two executions share a key', async () => {
    const keys: string[] = [];
    const again: Step<number, unknown> = task('again', (n: number, ctx) => {
      keys.push(ctx.idempotencyKey);
      if (n < 500) ctx.nextTask(again, n + 1);
    });
    await workflow('spawner', again).run(0);
    expect(new Set(keys).size).toBe(501);
    expect(Math.max(...keys.map((key) => key.length))).toBeLessThan(140);
  });

  it('keep a member\'s key over its attempts', async () => {
    const keys = new Map<number, Set<string>>();
    const item = task('item', (n: number, ctx) => {
      keys.set(n, (keys.get(n) ?? new Set()).add(ctx.idempotencyKey));
      if (ctx.attempt === 1) throw new Error('once');
      return n;
    }, { retry: { attempts: 2 } });
    const deep = task('deep', (n: number, ctx) => {
      if (n < 60) ctx.nextTask(n === 59 ? spread : deep, n === 59 ? [1, 2, 3] : n + 1);
    }) as Step<unknown, unknown>;
    const spread: Step<unknown, unknown> = each(item) as Step<unknown, unknown>;
    await workflow('deep', deep, { uses: [spread] }).run(0);
    expect([...keys.values()].map((seen) => seen.size)).toEqual([1, 1, 1]);
    expect(new Set([...keys.values()].flatMap((seen) => [...seen])).size).toBe(3);
  });
});
