/** ACCEPTANCE 55: wrong usage ends with exit code 2 and one line, never with a stack. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bench } from './workbench.ts';

const bench = new Bench();
afterAll(() => bench.remove());

beforeAll(async () => {
  bench.write('flow.mts', `import { task, workflow } from 'taskchart'; export default workflow('flow', task('t', (n: number) => n));`);
  bench.write('two.mjs', `import { task, workflow } from 'taskchart'; const made = (id) => workflow(id, task('t', () => 1)); export const first = made('one'); export const second = made('other');`);
  bench.write('twins.mjs', `import { task, workflow } from 'taskchart'; const made = () => workflow('twin', task('t', () => 1)); export const first = made(); export const second = made();`);
  bench.write('steps.mjs', `import { task } from 'taskchart'; export const fetchAll = task('t', () => 1);`);
  bench.write('nothing.mjs', `console.log('loaded');`);
  bench.write('other.mjs', `export const answer = 42; export default null; export const hostile = new Proxy({}, { get() { throw new Error('get'); } });`);
  bench.write('throws.mjs', `const a = 1;\nthrow new TypeError('not today\\nat all');`);
  bench.write('rejects.mjs', `throw 'a string';`);
  bench.write('graph.mjs', `import { task, workflow } from 'taskchart'; export default workflow('a b', task('t', () => 1));`);
  bench.write('imports.mjs', `import './missing.mjs';`);
  bench.write('syntax.mts', `export const x: = 5;`);
  bench.write('stuck.mjs', `await new Promise(() => undefined);`);
  bench.write('notes.md', `# notes`);
  bench.write('torn.json', `{"a":`);
  bench.write('list.json', `[1]`);
  bench.write('notes.bin', `\u0000{`);
  bench.write('waits.mts', `import { task, waitFor, workflow } from 'taskchart'; export default workflow('waits', task('t', () => 1).to(waitFor('answer')));`);
  bench.write('old.state.json', `{"schema_version":"1.0","session_id":"s","start_node":"nowhere"`);
  expect(await bench.run('run', 'waits.mts', '--store', 'waiting', '--run-id', 'waits')).toMatchObject({ code: 4 });
});

const long = 'z'.repeat(3000);

const cases: [what: string, args: string[], line: RegExp][] = [
  ['an unknown flag', ['run', 'flow.mts', '--wach'], /unknown option '--wach' \(Did you mean --watch\?\)$/],
  ['an unknown flag of graph', ['graph', 'flow.mts', '--mermiad'], /Did you mean --mermaid\?/],
  ['an unknown command', ['rnu', 'flow.mts'], /unknown command 'rnu' \(Did you mean run\?\)$/],
  ['a missing value', ['run', 'flow.mts', '--input'], /option '--input <json>' argument missing/],
  ['a missing value before a flag', ['run', 'flow.mts', '--input', '--watch'], /--input is no valid JSON: .*is its value missing\?/],
  ['a missing file', ['run'], /missing required argument 'file'/],
  ['too much', ['run', 'flow.mts', 'other.mjs'], /too many arguments/],
  ['a concurrency that is no number', ['run', 'flow.mts', '--concurrency', 'abc'], /'--concurrency <n>' argument 'abc' is invalid\. It must be a whole number/],
  ['a concurrency of 0', ['run', 'flow.mts', '--concurrency', '0'], /'0' is invalid/],
  ['a broken number of steps', ['run', 'flow.mts', '--max-steps', '1.5'], /'1\.5' is invalid/],
  ['two formats', ['graph', 'flow.mts', '--json', '--mermaid'], /cannot be used with/],
  ['a huge flag', ['run', 'flow.mts', `--${long}`], /^taskchart: unknown option '--z{90,99}…'/],
  ['a huge file name', ['run', long], /^taskchart: there is no module z+…$/],
  ['a module that is missing', ['run', 'nope.ts'], /there is no module nope\.ts$/],
  ['a folder', ['run', '.'], /there is no module \.$/],
  ['a file that is no module', ['run', 'notes.md'], /notes\.md is no JavaScript or TypeScript module/],
  ['a module that throws', ['run', 'throws.mjs'], /throws\.mjs cannot be loaded: TypeError: not today at all \(throws\.mjs:2:7\)$/],
  ['a module that throws a string', ['run', 'rejects.mjs'], /rejects\.mjs cannot be loaded: .*a string/],
  ['a module whose graph is wrong', ['run', 'graph.mjs'], /graph\.mjs cannot be loaded: DefinitionError: .*a b/],
  ['a module that imports a missing one', ['run', 'imports.mjs'], /imports\.mjs cannot be loaded: .*missing\.mjs/],
  ['a module that is no TypeScript', ['run', 'syntax.mts'], /syntax\.mts cannot be loaded: .*Unexpected/],
  ['a module that never finishes loading', ['run', 'stuck.mjs'], /stuck\.mjs never finishes loading/],
  ['a module that exports nothing', ['graph', 'nothing.mjs'], /^(loaded\n)?taskchart: nothing\.mjs exports no workflow: it exports nothing$/],
  ['a module without a workflow', ['run', 'other.mjs'], /other\.mjs exports no workflow; it exports answer, default, hostile$/],
  ['a module with steps only', ['run', 'steps.mjs'], /steps\.mjs exports no workflow, only other steps \(fetchAll\): make one with workflow\(id, step\)$/],
  ['a module with several workflows', ['run', 'two.mjs'], /exports several workflows: one, other; say which with --workflow <id>$/],
  ['a workflow that is not there', ['run', 'two.mjs', '--workflow', 'othr'], /no workflow othr \(did you mean other\?\); it exports one, other$/],
  ['two workflows with one id', ['run', 'twins.mjs', '--workflow', 'twin'], /several workflows with the id twin/],
  ['input that is no JSON', ['run', 'flow.mts', '--input', '{a}'], /--input is no valid JSON: Expected property name/],
  ['input that is a bare word', ['run', 'flow.mts', '--input', 'Oslo'], /a string needs quotes/],
  ['empty input', ['run', 'flow.mts', '--input', ''], /--input is empty/],
  ['nothing on stdin', ['run', 'flow.mts', '--input', '-'], /--input - is empty/],
  ['an input file that is missing', ['run', 'flow.mts', '--input', '@none.json'], /--input @none\.json: there is no such file$/],
  ['an input file that is torn', ['run', 'flow.mts', '--input', '@torn.json'], /--input @torn\.json is no valid JSON: Unexpected end of JSON input$/],
  ['an input file of another kind', ['run', 'flow.mts', '--input', '@notes.bin'], /--input @notes\.bin is no valid JSON/],
  ['a folder as input', ['run', 'flow.mts', '--input', '@.'], /--input @\.: it is a folder$/],
  ['input with a reserved key', ['run', 'flow.mts', '--input', '{"a":{"__proto__":1}}'], /ValueError: .*__proto__/],
  ['an empty store', ['run', 'flow.mts', '--input', '1', '--store', ''], /--store is empty: give a folder, sqlite:<path>, or redis:\/\/<host>$/],
  ['a store that is a URL of another kind', ['ps', '--store', 'http://me:secret@127.0.0.1:16399'], /^taskchart: --store http:\/\/… is no store that is known: give a folder, sqlite:<path>, redis:\/\/<host> or rediss:\/\/<host>$/],
  ['a run in a store that is a URL of another kind', ['run', 'flow.mts', '--input', '1', '--store', 'Postgres+ssl://db'], /--store Postgres\+ssl:\/\/… is no store/],
  ['a store without a value', ['ps', '--store'], /option '--store <store>' argument missing/],
  ['a SQLite store without a path', ['ps', '--store', 'sqlite:'], /sqlite: needs the path of a file/],
  ['a store that is a file', ['ps', '--store', 'notes.md'], /notes\.md/],
  ['a SQLite store that is another file', ['ps', '--store', 'sqlite:notes.md'], /notes\.md" is not a store of runs/],
  ['a run id with a path', ['run', 'flow.mts', '--input', '1', '--store', 's', '--run-id', '../x'], /DefinitionError: The id of a run has a character that is not allowed/],
  ['an empty run id', ['resume', 'flow.mts', '', '--store', 's'], /The id of a run is empty/],
  ['a run that is not there', ['resume', 'flow.mts', 'r', '--store', 's'], /the store s has no run r; it has none$/],
  ['a run that is called otherwise', ['why', 'wait', '--store', 'waiting'], /the store waiting has no run wait; did you mean waits\?$/],
  ['a run of another workflow', ['resume', 'flow.mts', 'waits', '--store', 'waiting'], /CheckpointError: the checkpoint of run "waits" belongs to workflow "waits", not to "flow"/],
  ['why of another workflow', ['why', 'waits', 'flow.mts', '--store', 'waiting'], /run "waits" belongs to workflow "waits", not to "flow"/],
  ['a fork for another workflow', ['fork', 'flow.mts', 'waits', '--at', '0', '--store', 'waiting'], /run waits belongs to workflow waits, not to flow/],
  ['--manual without a store', ['run', 'flow.mts', '--input', '1', '--manual'], /--manual .* needs --store$/],
  ['a signal without a name', ['signal', 'waits.mts', 'waits'], /missing required argument 'name'/],
  ['a signal that nobody waits for', ['signal', 'waits.mts', 'waits', 'anser', '1', '--store', 'waiting'], /did you mean "answer"\?/],
  ['a value that is no JSON', ['signal', 'waits.mts', 'waits', 'answer', 'yes', '--store', 'waiting'], /the value is no valid JSON: .*a string needs quotes/],
  ['a value with a reserved key', ['signal', 'waits.mts', 'waits', 'answer', '{"__proto__":1}', '--store', 'waiting'], /ValueError: .*__proto__/],
  ['a value file that is missing', ['signal', 'waits.mts', 'waits', 'answer', '@none', '--store', 'waiting'], /the value @none: there is no such file$/],
  ['a cancel of nothing', ['cancel', 'r', '--store', 'waiting'], /has no run r/],
  ['checkpoints of nothing', ['checkpoints', 'r', '--store', 'waiting'], /has no run r/],
  ['a fork from nowhere', ['fork', 'waits.mts', 'waits', '--store', 'waiting'], /required option '--at <revision>' not specified/],
  ['a fork from a broken revision', ['fork', 'waits.mts', 'waits', '--at', '-1', '--store', 'waiting'], /'-1' is invalid\. It must be a whole number of at least 0/],
  ['a fork under a broken id', ['fork', 'waits.mts', 'waits', '--at', '0', '--as', 'a b', '--store', 'waiting'], /The id of a run has a character/],
  ['an unknown flag of why', ['why', 'waits', '--stor', 'waiting'], /Did you mean --store\?/],
  ['an old checkpoint that is missing', ['migrate-checkpoint', 'nope', '--workflow-file', 'flow.mts'], /nope\.state\.json: there is no such file/],
  ['an old checkpoint without a workflow', ['migrate-checkpoint', 'old'], /required option '--workflow-file <file>' not specified/],
  ['a broken renaming', ['migrate-checkpoint', 'old', '--workflow-file', 'flow.mts', '--rename', 'a'], /--rename a: give old=new/],
  ['inputs that are no object', ['migrate-checkpoint', 'old', '--workflow-file', 'flow.mts', '--inputs', 'list.json'], /--inputs list\.json must hold an object/],
];

describe('ACCEPTANCE 55', () => {
  it.concurrent.each(cases)('%s', async (_what, args, line) => {
    const { code, stdout, stderr } = await bench.run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.trimEnd()).toMatch(line);
    expect(stderr.replace('loaded\n', '').trimEnd().split('\n')).toHaveLength(1);
    expect(stderr.length).toBeLessThan(600);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('shows the help where nothing is asked, and as an answer where it is', async () => {
    const nothing = await bench.run();
    expect(nothing).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Usage: taskchart') as string });
    const help = await bench.run('--help');
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const word of ['run', 'graph', '130', 'SIGINT', 'never settles']) expect(help.stdout).toContain(word);
    const ofRun = await bench.run('run', '--help');
    for (const flag of ['--workflow', '--input', '--watch', '--concurrency', '--max-steps', '--json', '--store', '--run-id', '--manual', 'TASKCHART_STORE', '  4  ']) expect(ofRun.stdout).toContain(flag);
    for (const command of ['resume', 'signal', 'cancel', 'ps', 'why', 'checkpoints', 'fork', 'migrate-checkpoint']) expect(help.stdout).toContain(`  ${command} `);
    expect(await bench.run('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) as string });
  });
});
