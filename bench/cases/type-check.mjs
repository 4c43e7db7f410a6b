/** How long the compiler takes over a large graph: what an editor and a build feel. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goal, rawOf } from './rates.mjs';
import { chainSource, mixedSource, sequenceSource } from '../lib/graph-source.mjs';
import { packageDir, rootDir, versionOf, workDir } from '../lib/places.mjs';
import { cleanEnv, failureText, interleave } from '../lib/rounds.mjs';
import { count, fixed, median, millis, spread } from '../lib/stats.mjs';

export const id = 'type-check';
export const title = 'Type-checking a large graph';

const SHAPES = [
  { key: 'mixed', title: 'forks, joins, dags, reused tasks', source: mixedSource },
  { key: 'chain', title: 'one chain of `.to`', source: chainSource },
  { key: 'sequence', title: 'one `sequence(…)`', source: sequenceSource },
];

export async function run({ quick, rounds, tell }) {
  const sizes = quick ? [10, 30] : [30, 100, 300];
  const largest = sizes.at(-1);
  const nothing = { key: 'nothing', label: 'a program that only imports taskchart', tasks: 0, source: () => `import { workflow } from 'taskchart';\nexport const make = workflow;\n` };
  const entries = [
    nothing,
    ...SHAPES.flatMap(({ key, title: text, source }) => sizes.map((tasks) => ({ key: `${key}-${tasks}`, label: `${text}, ${count(tasks)} tasks`, tasks, source }))),
  ];
  for (const entry of entries) writeProject(entry);
  const results = await interleave(entries, Math.min(rounds, 5), tell, check);
  const wall = (key) => {
    const samples = results.find((result) => result.entry.key === key).samples;
    return samples.length > 0 ? median(samples.map((sample) => sample.ms)) : NaN;
  };
  return {
    about: [
      `TypeScript ${versionOf('typescript')}, \`tsc --noEmit\`, strict, with \`skipLibCheck\` as \`tsc --init\` sets it, over generated programs that compile without an error. The time is that of the whole process.`,
      'The first row is the floor: starting the compiler and reading the declarations of taskchart, xstate and the standard library.',
    ],
    tables: [{ columns: ['program', 'time', 'of it checking', 'instantiations', 'memory of the compiler'], rows: results.map(row) }],
    goals: SHAPES.map((shape) => goal(`${count(largest)} tasks, ${shape.title}`, 'under 3 s', wall(`${shape.key}-${largest}`), (x) => x < 3_000, millis)),
    data: results.map(rawOf), // JSON leaves the functions out
  };
}

/** A project as a user has it: taskchart is found in its node_modules, through the `exports` of its package.json. */
function writeProject({ key, tasks, source }) {
  const dir = join(workDir, 'type-check', key);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'node_modules'), { recursive: true });
  symlinkSync(rootDir, join(dir, 'node_modules', 'taskchart'), 'dir');
  writeFileSync(join(dir, 'graph.ts'), source(tasks));
  const compilerOptions = { target: 'es2022', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, types: [], lib: ['es2023', 'dom'] };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['graph.ts'] }));
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }\n');
}

function check({ key }) {
  const tsc = join(packageDir('typescript'), 'bin', 'tsc');
  const begin = process.hrtime.bigint();
  const child = spawnSync(process.execPath, [tsc, '-p', '.', '--extendedDiagnostics'], { cwd: join(workDir, 'type-check', key), env: cleanEnv(), encoding: 'utf8', timeout: 120_000 });
  const ms = Number(process.hrtime.bigint() - begin) / 1e6;
  if (child.error) return { ok: false, error: child.error.message };
  if (child.status !== 0) return { ok: false, error: child.stdout.split('\n').find((line) => line.includes('error'))?.slice(0, 200) ?? `exit code ${child.status}` };
  const figure = (name) => Number(new RegExp(`^${name}:\\s+([\\d.]+)`, 'm').exec(child.stdout)?.[1]);
  return { ok: true, ms, checkMs: figure('Check time') * 1000, instantiations: figure('Instantiations'), memoryKb: figure('Memory used') };
}

function row({ entry, samples, failure }) {
  if (samples.length === 0) return [entry.label, failureText(failure).replaceAll('|', '\\|'), '', '', ''];
  const of = (read) => median(samples.map(read));
  return [
    entry.label, spread(samples.map((sample) => sample.ms), millis), millis(of((sample) => sample.checkMs)),
    count(of((sample) => sample.instantiations)), `${fixed(of((sample) => sample.memoryKb) / 1000, 0)} MB`,
  ];
}
