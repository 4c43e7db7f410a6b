/** The ways of showing a run: the live tree on a screen, plain lines, event lines. Invariants are those of the files' heads. */
import { describe, expect, it } from 'vitest';
import { each, sequence, task, waitFor, workflow } from '../../src/index.ts';
import { EventLines } from '../../src/cli/event-lines.ts';
import { TaskchartError } from '../../src/core/errors.ts';
import { PlainReport } from '../../src/cli/plain.ts';
import { LiveTree } from '../../src/cli/tree.ts';
import { TreeModel } from '../../src/cli/tree-model.ts';
import { viewFor } from '../../src/cli/watch.ts';
import type { View } from '../../src/cli/view.ts';
import type { WaitingFor } from '../../src/runtime/status.ts';
import { Events, chainOf, member } from './events.ts';
import { Screen } from './workbench.ts';

const flow = workflow('w', sequence(task('list', () => [1]), each(task('resize', (n: number) => n)), task('end', () => 1)));

class Paper {
  written: string[] = [];
  write(text: string): void {
    this.written.push(text);
  }
  get text(): string {
    return this.written.join('');
  }
}

const chain = (length: number) => workflow('chain', chainOf(length));

describe('the live tree', () => {
  it('draws over the frame before, with one write per frame and none without a change (tree 1)', () => {
    const screen = new Screen();
    const tree = new LiveTree(new TreeModel('w', flow.graph), screen, { colours: true });
    const on = new Events(1000);
    tree.see(on.started('list'));
    tree.frame(1100);
    expect(screen.cursorShown).toBe(false);
    tree.see(on.completed('list'));
    for (let index = 0; index < 40; index += 1) tree.see(on.started('resize', member('each@1', index, 100)));
    tree.frame(1200);
    tree.frame(1200);
    expect(screen.writes).toBe(2);
    expect(screen.text).toBe(['▸ w  running 200 ms, 1 done', '  ✔ list         0 ms', '  ▸ each resize  ░░░░░░░░░░░░ 0/100 done, 40 running  200 ms', '  · end'].join('\n'));
    tree.see(on.ended('run.cancelled'));
    tree.end(1300);
    tree.end(1300);
    expect(screen.cursorShown).toBe(true);
    expect(screen.text.split('\n')).toHaveLength(4);
    expect(screen.text).toContain('■ w  cancelled');
  });

  it('keeps what others print above itself, and bounded', () => {
    const screen = new Screen(100, 80);
    const tree = new LiveTree(new TreeModel('w', flow.graph), screen, { colours: false });
    const on = new Events(1000);
    tree.see(on.started('list'));
    tree.frame(1000);
    tree.print('from console.log\n');
    tree.see(on.log('list', 'half\u001b[2J way', { files: 3 }));
    tree.frame(1100);
    expect(screen.text.split('\n').slice(0, 3)).toEqual(['from console.log', 'list: half way { files: 3 }', '▸ w  running 100 ms, 0 done']);
    for (let at = 0; at < 5000; at += 1) tree.print(`${at}\n`);
    tree.end(1200);
    expect(screen.text).toContain('… and 4500 more lines');
    tree.print('after the end');
    expect(screen.text.endsWith('after the end')).toBe(true);
  });

  it('ends with what a run that is left waits for, also where no frame came before', () => {
    const screen = new Screen();
    const tree = new LiveTree(new TreeModel('w', workflow('w', task('a', () => 1).to(waitFor('go'))).graph), screen, { colours: false, waitsFor: () => [{ kind: 'signal', name: 'go', since: 1000 }] });
    const on = new Events(1000);
    for (const event of [on.started('a'), on.completed('a'), on.run('run.waiting')]) tree.see(event);
    tree.see({ type: 'run.failed', at: 1500, error: new TaskchartError('run/stopped', 'left') });
    tree.end(2000);
    expect(screen.text).toBe('◦ w  waiting 500 ms, 1 done\n  ✔ a        0 ms\n  ◦ wait go  waits for the signal go since 1.0 s');
  });

  it('is never higher or wider than the terminal (tree 2)', () => {
    const screen = new Screen(8, 40);
    const made = chain(300);
    const tree = new LiveTree(new TreeModel('chain', made.graph), screen, { colours: false });
    const on = new Events(1000);
    for (let at = 0; at < 300; at += 1) {
      tree.see(on.started(`t${at}`));
      if (at % 50 === 0) tree.frame(1000 + at);
      tree.see(on.completed(`t${at}`));
    }
    tree.end(2000);
    expect(screen.writes).toBe(8);
    expect(screen.text.split('\n').length).toBeLessThanOrEqual(8);
  });

  it('is drawn at most once per frame, however many events come, for little time', () => {
    const size = 20_000;
    const tree = new LiveTree(new TreeModel('chain', chain(size).graph), new Screen(50, 120));
    const on = new Events(1000);
    const before = process.cpuUsage();
    for (let at = 0; at < size; at += 1) {
      tree.see(on.started(`t${at}`));
      tree.see(on.completed(`t${at}`));
      if (at % 4000 === 0) tree.frame(1000 + at / 40);
    }
    tree.end(2000);
    const { user } = process.cpuUsage(before);
    // About 50 ms where nothing else runs; twenty times that would be felt.
    expect(user / 1000).toBeLessThan(1000);
  });
});

describe('plain lines', () => {
  const plain = (graph = flow.graph, waits: () => WaitingFor[] = () => []): { paper: Paper; view: View } => {
    const paper = new Paper();
    return { paper, view: new PlainReport(new TreeModel('w', graph), paper, waits) };
  };

  it('say what started and what ended, and count a fan-out at most once a second (plain 2 and 3)', () => {
    const { paper, view } = plain();
    const on = new Events(1000);
    view.see(on.started('list'));
    view.frame(1000);
    on.at = 1030;
    view.see(on.completed('list'));
    view.frame(1100);
    for (let index = 0; index < 400; index += 1) {
      on.at = 1100 + index * 10;
      view.see(on.started('resize', member('each@1', index, 400)));
      view.see(on.completed('resize', member('each@1', index, 400)));
      if (index % 10 === 9) view.frame(on.at);
    }
    view.see(on.run('run.completed'));
    view.end(on.at);
    expect(paper.text).toBe([
      'w: started', 'list: started', 'list: done in 30 ms', 'each resize: 10/400 done', 'each resize: 110/400 done', 'each resize: 210/400 done', 'each resize: 310/400 done',
      'each resize: 400 done in 4.0 s', 'w: completed in 4.1 s, 401 done', '',
    ].join('\n'));
  });

  it('say failures, attempts, progress, logs and waits', () => {
    const { paper, view } = plain(workflow('w', task('a', () => 1).to(waitFor('approval'))).graph, () => [{ kind: 'signal', name: 'approval', since: 1 }]);
    const on = new Events(1000);
    view.see(on.started('a'));
    view.see(on.failed('a', false, 'reset\nby peer'));
    view.frame(1000);
    view.see(on.started('a', { attempt: 2 }));
    view.see(on.progress('a', 1, 4, 'parts'));
    view.see(on.log('a', 'quarter'));
    view.frame(2100);
    view.see(on.failed('a', true, 'for good', { attempt: 2 }));
    view.see(on.run('run.waiting'));
    view.frame(2200);
    view.end(2300);
    expect(paper.text).toBe([
      'w: started', 'a: attempt 1 failed, tries again: reset by peer', 'a quarter'.replace(' ', ': '), 'a: 1/4 parts', 'a: failed in 0 ms, 2 attempts: for good',
      'w: waits for the signal approval', 'w: has not ended after 1.3 s, 0 done, 1 failed', '',
    ].join('\n'));
  });

  it('end with how a run was left that has not ended', () => {
    const left = new TaskchartError('run/stopped', 'left');
    const lastOf = (...types: ('run.waiting' | 'run.paused' | 'run.resumed')[]): string | undefined => {
      const { paper, view } = plain();
      const on = new Events(1000);
      view.see(on.started('list'));
      view.see(on.completed('list'));
      for (const type of types) view.see(on.run(type));
      view.see({ type: 'run.failed', at: 3700, error: left });
      view.end(9000);
      return paper.text.trimEnd().split('\n').at(-1);
    };
    expect(lastOf('run.waiting')).toBe('w: waits, after 2.7 s, 1 done');
    expect(lastOf('run.waiting', 'run.resumed')).toBe('w: stopped after 2.7 s, 1 done');
    expect(lastOf('run.paused')).toBe('w: is paused, after 2.7 s, 1 done');
  });

  it('count a failure with the error of a member that has failed for good', () => {
    const { paper, view } = plain(workflow('w', each(task('pay', (n: number) => n)).withPolicy('bestEffort')).graph);
    const on = new Events(1000);
    for (const index of [0, 1]) view.see(on.started('pay', member('each@1', index, 2)));
    view.see(on.failed('pay', true, 'declined', member('each@1', 0, 2)));
    view.see(on.failed('pay', false, 'flaky', member('each@1', 1, 2)));
    view.see(on.started('pay', member('each@1', 1, 2, { attempt: 2 })));
    view.see(on.completed('pay', member('each@1', 1, 2, { attempt: 2 })));
    view.frame(1000);
    expect(paper.text).toContain('each pay: 1/2 done, 1 failed (declined) in 0 ms\n');
  });

  it('are few, however many tasks end in a frame (plain 1)', () => {
    const { paper, view } = plain(chain(1000).graph);
    const on = new Events(1000);
    for (let at = 0; at < 1000; at += 1) for (const event of [on.started(`t${at}`), on.completed(`t${at}`)]) view.see(event);
    view.frame(1000);
    expect(paper.written).toHaveLength(1);
    expect(paper.text.trimEnd().split('\n')).toHaveLength(27);
    expect(paper.text).toContain('… and 975 more done\n');
  });

  it('do not repeat themselves in a loop', () => {
    const { paper, view } = plain(workflow('w', task('loop', () => 1)).graph);
    const on = new Events(1000);
    for (let pass = 0; pass < 50; pass += 1) {
      on.at += 100;
      view.see(on.started('loop'));
      view.see(on.completed('loop'));
      view.frame(on.at);
    }
    view.see(on.run('run.completed'));
    view.end(on.at);
    expect(paper.text.split('\n').filter((line) => line.startsWith('loop')).length).toBeLessThan(8);
    expect(paper.text).toContain('loop: done in 0 ms (50 times)');
  });
});

describe('event lines', () => {
  it('are JSON, one per event, bounded, written once per frame', () => {
    const paper = new Paper();
    const view = new EventLines(paper);
    const on = new Events(5);
    view.see(on.started('a'));
    view.see(on.failed('a', true, 'x'.repeat(5000)));
    view.see(on.log('a', 'm', { big: 'y'.repeat(5000) }));
    view.frame();
    view.end();
    expect(paper.written).toHaveLength(1);
    const lines = paper.text.trimEnd().split('\n').map((line) => JSON.parse(line) as { type: string });
    expect(lines.map(({ type }) => type)).toEqual(['task.started', 'task.failed', 'task.log']);
    expect(paper.text.length).toBeLessThan(1500);
  });
});

describe('which view is taken', () => {
  const watched = { workflow: 'w', graph: flow.graph, json: false, environment: {} };
  it.each<[string, object, object, unknown]>([
    ['a terminal', { isTTY: true }, {}, LiveTree],
    ['a pipe', {}, {}, PlainReport],
    ['a dumb terminal', { isTTY: true }, { environment: { TERM: 'dumb' } }, PlainReport],
    ['--json', { isTTY: true }, { json: true }, EventLines],
  ])('%s', (_name, out, more, view) => {
    expect(viewFor({ write: () => undefined, ...out }, { ...watched, ...more }, () => [])).toBeInstanceOf(view);
  });
});
