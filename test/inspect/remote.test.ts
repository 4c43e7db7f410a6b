/** Groups that workers execute: what is seen of the run, of its coordinator, and of a worker. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { each, task, waitFor } from 'taskchart';
import { World, onRedis } from '../remote/support/workers.ts';
import { members, watch } from './support/stream.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

describe('a group at workers', () => {
  it('says that no worker serves it; then its members, the coordinator and the worker are seen', async () => {
    const flow = world.workflow('seen-from-afar', each(task('work', (n: number) => n).to(waitFor('go')).to('after', (word: unknown) => String(word))).withExecution(onRedis).as('all'));
    const watching = watch();
    const run = flow.start([1, 2, 3], { clock: world.clock, inspect: watching.inspect });
    await world.until(() => run.status().waitsFor.some((one) => one.kind === 'units' && one.reason !== undefined));
    const idle = watching.run(run.actor.sessionId);
    expect(idle.status?.waitsFor.first).toContainEqual({ kind: 'units', node: '', key: 'default', queue: 'default', count: 3, since: expect.any(Number), reason: 'no live worker serves the queue' });
    expect(idle.run?.state).toBe('running');
    expect(members(idle, 'all')).toBe('rrr');

    const worker = await world.started('w1', { concurrency: 2, inspect: watching.inspect });
    await world.until(() => run.status().waitsFor.filter(({ kind }) => kind === 'signal').length === 3);
    const parked = watching.run(run.actor.sessionId);
    expect(members(parked, 'all')).toBe('www');
    expect(parked.status?.waitsFor.first.filter(({ kind }) => kind === 'signal').length).toBe(3);
    for (const word of ['a', 'b', 'c']) run.signal('go', word);
    expect(await world.run(run)).toEqual(['a', 'b', 'c']);
    const after = watching.run(run.actor.sessionId);
    expect(members(after, 'all')).toBe('ddd');
    expect(after.run).toMatchObject({ state: 'completed' });

    const system = watching.system(run.actor.sessionId);
    expect([...system.actors.values()].map(({ actor }) => actor.name)).toEqual(expect.arrayContaining(['executor', 'coordinator']));
    const coordinator = [...system.actors.values()].find(({ actor }) => actor.name === 'coordinator');
    expect(coordinator?.actor.definition).toContain('"id":"coordinator"');
    const seen = watching.system(worker.actor.sessionId);
    expect(seen.actors.get(worker.actor.sessionId)?.actor.definition).toContain('"id":"worker"');
    expect(seen.actors.get(worker.actor.sessionId)?.last?.snapshot.context).toMatchObject({ worker: 'w1', queue: 'default', slots: 2 });
    const branches = watching.messages.filter((message) => message.type === '@taskchart.run' && message.origin === 'branch');
    expect(branches.length).toBeGreaterThan(0);
    expect(branches.every((message) => message.type === '@taskchart.run' && message.control.length === 0)).toBe(true);
  });
});
