/** `taskchart migrate-checkpoint`: from the older system's files to a run that goes on. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Bench } from './workbench.ts';

vi.setConfig({ testTimeout: 60_000 });

const bench = new Bench();
afterAll(() => bench.remove());

const session = '5f2c9a7e41d84c03a6b1f0d2c3e4b5a6';

beforeAll(() => {
  for (const name of ['sequence.state.json', 'sequence.meta.json']) bench.write(`old/${name}`, readFileSync(fileURLToPath(new URL(`../fixtures/legacy/${name}`, import.meta.url)), 'utf8'));
  bench.write('chain.mts', `
    import { sequence, task, workflow } from 'taskchart';
    const step = <const Id extends string>(id: Id, options = {}) => task(id, (input: unknown) => id + ' of ' + JSON.stringify(input), options);
    export default workflow('chain', sequence(step('fetch'), step('clean'), step('store', { retry: { attempts: 4 } }), step('report')));
    export const other = workflow('other', step('fetch'));`);
  bench.write('inputs.json', '{"store":{"rows":3}}');
  bench.write('wrong.json', '{"nowhere":1}');
});

const migrate = ['migrate-checkpoint', 'old/sequence', '--workflow-file', 'chain.mts', '--store', 'runs'];

describe('migrate-checkpoint', () => {
  it('stores a run, says what was left behind, and the run goes on', async () => {
    const stored = await bench.run(...migrate, '--inputs', 'inputs.json');
    expect(stored).toMatchObject({ code: 0, stdout: '' });
    expect(stored.stderr).toMatch(new RegExp(`^taskchart: run ${session} is stored in runs\\n( {2}note: .*\\n)+ {2}go on: taskchart resume chain\\.mts ${session} --store runs\\n$`));
    expect(stored.stderr).toContain('pickle');
    expect((await bench.run('why', session, 'chain.mts', '--store', 'runs')).stdout).toMatch(/^run .* of workflow chain: interrupted.*\n {2}1 step is queued\n {2}go on: taskchart resume/);
    expect(await bench.run('resume', 'chain.mts', session, '--store', 'runs')).toMatchObject({ code: 0, stdout: '"report of \\"store of {\\\\\\"rows\\\\\\":3}\\""\n' });
    expect(await bench.run(...migrate)).toMatchObject({ code: 2, stderr: expect.stringContaining(`has a run ${session} already`) as string });
  });

  it('takes another id, and answers programs', async () => {
    const { code, stdout, stderr } = await bench.run(...migrate, '--as', 'mine', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ run: 'mine', store: 'runs', next: 'taskchart resume chain.mts mine --store runs', notes: expect.arrayContaining([expect.stringContaining('Results and channel values')]) as string[] });
  });

  it('refuses what does not fit, and stores nothing then', async () => {
    expect(await bench.run(...migrate, '--as', 'a', '--inputs', 'wrong.json')).toMatchObject({ code: 1, stderr: expect.stringMatching(/^CheckpointError: .*"nowhere"/) as string });
    expect(await bench.run(...migrate, '--as', 'a', '--workflow', 'other')).toMatchObject({ code: 1, stderr: expect.stringMatching(/^CheckpointError: .*which workflow "other" does not have/) as string });
    expect((await bench.run('ps', '--store', 'runs')).stdout).not.toMatch(/\na /);
  });
});
