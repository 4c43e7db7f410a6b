/** The task tree: run events in, lines out. Invariant numbers are those of tree-model.ts, tree-layout.ts and tree-lines.ts. */
import { describe, expect, it } from 'vitest';
import { dag, each, node, parallel, sequence, sleep, task, waitFor, workflow, type RunEvent, type Step } from '../../src/index.ts';
import { TaskchartError } from '../../src/core/errors.ts';
import { columnsOf, duration, fit, grouped, oneLine } from '../../src/cli/text.ts';
import { drawTree, type View } from '../../src/cli/tree-lines.ts';
import { TreeModel } from '../../src/cli/tree-model.ts';
import { Events, chainOf, groupOf, member } from './events.ts';

const number = (id: string) => task(id, (n: number) => n);
const numbers = (id: string) => task(id, (n: number) => [n]);

function model<I>(root: Step<I, unknown>, uses: Step<number, unknown>[] = []): TreeModel {
  const made = workflow('w', root, { uses: uses as Step<unknown, unknown>[] });
  return new TreeModel(made.id, made.graph);
}

function draw(tree: TreeModel, view: Partial<View> = {}): string[] {
  return drawTree(tree, { now: 3000, columns: 80, lines: 24, ...view });
}

describe('a tree of single tasks', () => {
  it('shows what is to come, running with progress, done, with times', () => {
    const tree = model(sequence(number('fetch'), number('hash'), number('store')));
    const on = new Events(1000);
    tree.see(on.run('run.started'));
    expect(draw(tree)).toEqual(['▸ w  running 2.0 s, 0 done', '  · fetch', '  · hash', '  · store']);
    tree.see(on.started('fetch'));
    on.at = 1012;
    tree.see(on.completed('fetch'));
    tree.see(on.started('hash'));
    tree.see(on.progress('hash', 3, 12, 'files'));
    expect(draw(tree)).toEqual(['▸ w  running 2.0 s, 1 done', '  ✔ fetch  12 ms', '  ▸ hash   ███░░░░░░░░░ 3/12 files  2.0 s', '  · store']);
    tree.see(on.progress('hash', 5));
    expect(draw(tree)[2]).toBe('  ▸ hash   5  2.0 s');
  });

  it('shows attempts, iterations, repetitions and failures', () => {
    const tree = model(sequence(number('a'), number('b'), number('c')));
    const on = new Events(1000);
    tree.see(on.started('a'));
    tree.see(on.failed('a', false, 'connection\nreset'));
    tree.waitsFor([{ kind: 'retry', task: 'a', dueAt: 5000 }]);
    expect(draw(tree)[1]).toBe('  ◦ a  attempt 2 in 2.0 s: connection reset  2.0 s');
    tree.see(on.started('a', { attempt: 2 }));
    expect(draw(tree)[1]).toBe('  ▸ a  attempt 2  2.0 s');
    tree.see(on.completed('a', { attempt: 2 }));
    expect(draw(tree)[1]).toBe('  ✔ a  2 attempts  0 ms');
    for (const iteration of [0, 1, 2]) {
      tree.see(on.started('b', { iteration }));
      tree.see(on.completed('b', { iteration }));
    }
    expect(tree.done).toBe(2);
    expect(draw(tree)[2]).toBe('  ✔ b  iteration 2  0 ms');
    for (let pass = 0; pass < 3; pass += 1) for (const event of [on.started('c'), on.completed('c')]) tree.see(event);
    tree.see(on.started('c'));
    tree.see(on.failed('c', true, 'x'.repeat(500)));
    tree.see(on.ended('run.failed'));
    const line = draw(tree, { columns: 60 })[3]!;
    expect(line).toMatch(/^ {2}✖ c {2}x+… {2}0 ms$/);
    expect(columnsOf(line)).toBeLessThanOrEqual(60);
    expect(draw(tree)[0]).toBe('✖ w  failed 0 ms, 5 done, 1 failed');
  });

  it('is not disturbed by events that it does not know', () => {
    const tree = model(number('a'));
    tree.see({ type: 'run.of-a-later-version', at: 5 } as unknown as RunEvent);
    expect(tree.ended).toBe(false);
  });

  it('says what was stopped and what was never run', () => {
    const tree = model(sequence(number('a'), number('b')));
    const on = new Events();
    tree.see(on.started('a'));
    tree.see(on.ended('run.cancelled'));
    expect(draw(tree)).toEqual(['■ w  cancelled 0 ms, 0 done', '  ■ a  0 ms', '  – b']);
  });

  it('says of a run that was left as it is that it waits, or was stopped, and never that it has failed', () => {
    const left = new TaskchartError('run/stopped', 'left');
    const waits = model(sequence(number('a'), waitFor('answer'), task('b', () => 1)));
    const on = new Events(1000);
    for (const event of [on.started('a'), on.completed('a'), on.run('run.waiting')]) waits.see(event);
    waits.waitsFor([{ kind: 'signal', name: 'answer', since: 1000 }]);
    waits.see({ type: 'run.failed', at: 1700, error: left });
    expect([waits.ended, waits.left]).toEqual([false, true]);
    expect(draw(waits)).toEqual(['◦ w  waiting 700 ms, 1 done', '  ✔ a            0 ms', '  ◦ wait answer  waits for the signal answer since 2.0 s', '  · b']);
    const stopped = model(number('a').to(number('b')));
    stopped.see(on.started('a'));
    stopped.see({ type: 'run.failed', at: 1700, error: left });
    expect(draw(stopped)).toEqual(['■ w  stopped 700 ms, 0 done', '  ■ a  700 ms', '  · b']);
  });

  it('shows waits and sleeps, and that they are over when what follows begins', () => {
    const tree = model(sequence(number('ask'), waitFor('approval'), sleep(50), task('act', () => 1)));
    const on = new Events(1000);
    tree.see(on.started('ask'));
    tree.see(on.completed('ask'));
    tree.see(on.run('run.waiting'));
    tree.waitsFor([{ kind: 'signal', name: 'approval', since: 1000 }]);
    expect(draw(tree)).toEqual(['◦ w  waiting 2.0 s, 1 done', '  ✔ ask            0 ms', '  ◦ wait approval  waits for the signal approval since 2.0 s', '  · sleep 50 ms', '  · act']);
    tree.waitsFor([]);
    tree.see(on.started('act'));
    expect(draw(tree).map((line) => line.slice(2, 3))).toEqual(['w', '✔', '✔', '✔', '▸']);
  });

  it('shows handlers and steps on demand once they are used, and tasks that no graph declares', () => {
    const tree = model(number('a').recover('rescue', () => 0), [number('extra')]);
    const on = new Events();
    expect(draw(tree).slice(1)).toEqual(['  · a']);
    tree.see(on.started('a'));
    tree.see(on.failed('a', true));
    tree.see(on.started('rescue'));
    tree.see(on.started('extra'));
    tree.see(on.started('stranger'));
    expect(draw(tree).slice(1)).toEqual(['  ✖ a                   broken  0 ms', '  ▸ on failure: rescue  2.0 s', '  ▸ extra               2.0 s', '  ▸ stranger            2.0 s']);
  });
});

describe('groups', () => {
  it('counts a fan-out in one row (layout 2)', () => {
    const tree = model(sequence(numbers('list'), each(number('resize')).withPolicy('bestEffort'), task('end', () => 1)));
    const on = new Events(1000);
    for (let index = 0; index < 378; index += 1) tree.see(on.started('resize', member('each@1', index, 400)));
    for (let index = 0; index < 312; index += 1) tree.see(on.completed('resize', member('each@1', index, 400)));
    for (const index of [312, 313]) tree.see(on.failed('resize', true, 'no such file', member('each@1', index, 400)));
    expect(draw(tree)[2]).toBe('  ▸ each resize  █████████░░░ 312/400 done, 64 running, 2 failed (no suc…  2.0 s');
    on.at = 1500;
    for (let index = 314; index < 400; index += 1) {
      if (index >= 378) tree.see(on.started('resize', member('each@1', index, 400)));
      tree.see(on.completed('resize', member('each@1', index, 400)));
    }
    expect(draw(tree)[2]).toBe('  ✔ each resize  398/400 done, 2 failed (no such file)  500 ms');
  });

  it('tells the error of a member that has failed for good, and not of an attempt that was tried again', () => {
    const tree = model(each(number('m')).withPolicy('bestEffort'));
    const on = new Events();
    for (const index of [0, 1]) tree.see(on.started('m', member('each@1', index, 2)));
    tree.see(on.failed('m', true, 'card declined', member('each@1', 0, 2)));
    tree.see(on.failed('m', false, 'flaky', member('each@1', 1, 2)));
    expect(draw(tree, { columns: 120 })[1]).toContain('1 to try again, 1 failed (card declined)');
    tree.see(on.started('m', member('each@1', 1, 2, { attempt: 2 })));
    tree.see(on.completed('m', member('each@1', 1, 2, { attempt: 2 })));
    expect(draw(tree)[1]).toBe('  ✔ each m  1/2 done, 1 failed (card declined)  0 ms');
  });

  it('counts retries and iterations of members once (model 3)', () => {
    const tree = model(each(number('m')));
    const on = new Events();
    for (const index of [0, 1]) tree.see(on.started('m', member('each@1', index, 2)));
    tree.see(on.failed('m', false, 'once', member('each@1', 0, 2)));
    expect(draw(tree)[1]).toContain('0/2 done, 1 running, 1 to try again');
    tree.see(on.started('m', member('each@1', 0, 2, { attempt: 2 })));
    tree.see(on.completed('m', member('each@1', 0, 2, { attempt: 2 })));
    tree.see(on.completed('m', member('each@1', 1, 2)));
    tree.see(on.started('m', { ...member('each@1', 1, 2), key: '7.1+1', iteration: 1 }));
    expect(draw(tree)[1]).toContain('1/2 done, 1 running');
    tree.see(on.completed('m', { ...member('each@1', 1, 2), key: '7.1+1', iteration: 1 }));
    expect(draw(tree)[1]).toBe('  ✔ each m  2 done  0 ms');
  });

  it('shows the tasks of a longer body with counts of their own', () => {
    const tree = model(each(sequence(number('read'), number('hash'))));
    const on = new Events();
    for (const index of [0, 1, 2, 3, 4]) tree.see(on.started('read', { ...member('each@1', index, 5), key: String(index) }));
    for (const index of [0, 1]) {
      tree.see(on.completed('read', member('each@1', index, 5)));
      tree.see(on.started('hash', { ...member('each@1', index, 5), key: `${index}+1` }));
    }
    tree.see(on.completed('hash', member('each@1', 0, 5)));
    expect(draw(tree).slice(1)).toEqual([
      '  ▸ each    ██░░░░░░░░░░ 1/5 done, 4 running  2.0 s',
      '    ▸ read  ████░░░░░░░░ 2/5 done, 3 running  2.0 s',
      '    ▸ hash  ██░░░░░░░░░░ 1/5 done, 1 running  2.0 s',
    ]);
  });

  it('shows the members of small groups and counts large ones', () => {
    const few = model(parallel(number('a'), number('b')));
    const on = new Events();
    few.see(on.started('a', member('parallel@1', 0, 2)));
    few.see(on.completed('a', member('parallel@1', 0, 2)));
    few.see(on.started('b', member('parallel@1', 1, 2)));
    expect(draw(few).slice(1)).toEqual(['  ▸ parallel  1/2 done, 1 running  2.0 s', '    ✔ a       0 ms', '    ▸ b       2.0 s']);
    const many = model(groupOf(30));
    for (let at = 0; at < 20; at += 1) many.see(on.started(`m${at}`, member('parallel@1', at, 30)));
    expect(draw(many).slice(1)).toEqual(['  ▸ parallel  ░░░░░░░░░░░░ 0/30 done, 20 running  2.0 s']);
  });

  it('shows a dag, an embedded workflow, and a name for a member', () => {
    const inner = workflow('inner', number('x').to(number('y')));
    const tree = model(dag({ load: node(number('load')), check: node(task('verify', ({ load }: { load: number }) => load), { needs: ['load'] }) }).to(task('n', () => 1)).to(inner));
    expect(draw(tree).slice(1)).toEqual(['  · dag', '    · load', '    · check: verify', '  · n', '  · inner', '    · inner/x', '    · inner/y']);
  });

  it('ends what was aborted in a group when the run goes on', () => {
    const tree = model(sequence(parallel(number('a'), number('b')).withPolicy({ atLeast: 1, failFast: true }), task('next', () => 1)));
    const on = new Events();
    tree.see(on.started('a', member('parallel@1', 0, 2)));
    tree.see(on.started('b', member('parallel@1', 1, 2)));
    tree.see(on.completed('a', member('parallel@1', 0, 2)));
    tree.see(on.started('next'));
    expect(draw(tree)[1]).toContain('✔ parallel');
  });
});

describe('lines', () => {
  it('show a part where there are more rows than lines, and count the rest (lines 2 and 3)', () => {
    const tree = model(chainOf(5000));
    const on = new Events();
    for (let at = 0; at < 1204; at += 1) for (const event of [on.started(`t${at}`), on.completed(`t${at}`)]) tree.see(event);
    tree.see(on.started('t1204'));
    const lines = draw(tree, { lines: 10 });
    expect(lines).toHaveLength(10);
    expect(lines[1]).toBe('  … 1,202 done');
    expect(lines).toContain('  ▸ t1204  2.0 s');
    expect(lines[9]).toMatch(/^ {2}… 3,79\d to come$/);
    for (const count of [1, 2, 3]) expect(draw(tree, { lines: count }).length).toBeLessThanOrEqual(count);
  });

  it.each([10, 12, 20, 33, 60])('are never wider than %i columns', (columns) => {
    const tree = model(sequence(numbers('資料を読み込む'), each(number('a-very-long-name-of-a-task-that-resizes'))));
    const on = new Events();
    tree.see(on.started('資料を読み込む'));
    tree.see(on.progress('資料を読み込む', 1, 3, '読み込み中 '.repeat(30)));
    tree.see(on.started('a-very-long-name-of-a-task-that-resizes', member('each@1', 0, 9)));
    tree.see(on.failed('a-very-long-name-of-a-task-that-resizes', true, '\u001b[31mred\u001b[0m\r\n'.repeat(40), member('each@1', 0, 9)));
    const lines = draw(tree, { columns });
    expect(lines.map(columnsOf).filter((width) => width > columns)).toEqual([]);
    // eslint-disable-next-line no-control-regex
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f]/);
  });

  it('cost the same per event whatever the size of the fan-out (model 1 and 2)', () => {
    const tree = model(each(number('m')));
    const on = new Events();
    const size = 200_000;
    for (let index = 0; index < size; index += 1) {
      tree.see(on.started('m', member('each@1', index, size)));
      tree.see(on.completed('m', member('each@1', index, size)));
    }
    expect(draw(tree)[1]).toBe('  ✔ each m  200,000 done  0 ms');
    expect(tree.layout.rows).toHaveLength(1);
  });
});

describe('text', () => {
  it.each([[0, '0 ms'], [999.4, '999 ms'], [1000, '1.0 s'], [59_940, '59.9 s'], [59_999, '1 min 0 s'], [125_000, '2 min 5 s'], [3_720_000, '1 h 2 min']])('writes %d ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it('groups digits, measures columns, cuts, and takes control characters out', () => {
    expect([grouped(999), grouped(1204), grouped(1234567), grouped(0.5)]).toEqual(['999', '1,204', '1,234,567', '0.5']);
    expect([columnsOf('abc'), columnsOf('資料'), columnsOf('e\u0301'), columnsOf('👍')]).toEqual([3, 4, 1, 2]);
    expect([fit('abcdef', 4), fit('abc', 3), fit('資料室', 4), fit('abc', 0)]).toEqual(['abc…', 'abc', '資…', '']);
    expect(oneLine('a\u001b[2J\u001b]0;title\u0007b\r\n\tc\u202ed\u0000')).toBe('ab c d');
  });
});
