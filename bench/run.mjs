/**
 * `npm run bench`: measures taskchart beside its peers and writes results/.
 *
 * Owns: the options, the order of the cases, what is written. Does not own: what a case measures (cases/), how a contender does its
 * work (contenders/).
 */
import { parseArgs } from 'node:util';
import * as concurrent from './cases/concurrent.mjs';
import * as diamond from './cases/diamond.mjs';
import * as durable from './cases/durable.mjs';
import * as fanOut from './cases/fan-out.mjs';
import * as growth from './cases/growth.mjs';
import * as inspectors from './cases/inspectors.mjs';
import * as install from './cases/install.mjs';
import * as redis from './cases/redis.mjs';
import * as sequential from './cases/sequential.mjs';
import * as snapshots from './cases/snapshots.mjs';
import * as startUp from './cases/start-up.mjs';
import * as timers from './cases/timers.mjs';
import * as typeCheck from './cases/type-check.mjs';
import { machine, machineLines } from './lib/machine.mjs';
import { ensureBuild, ensurePackages } from './lib/prepare.mjs';
import { broken } from './lib/rounds.mjs';
import { printCase, writeCase, writeSummary } from './lib/report.mjs';

const CASES = [concurrent, sequential, fanOut, diamond, growth, snapshots, durable, redis, timers, inspectors, startUp, install, typeCheck];

const NOT_MEASURED = [
  'Tasks that do something. All tasks here are asynchronous and do nothing, so the figures are the cost of the library; real tasks hide most of it.',
  'Durability outside the case of that name: elsewhere nothing is written, for taskchart and for the peers alike. Databases and other disks.',
  'Redis servers that keep their data on disk or are far away, several workers and several runs at a time; the `threads` backend; other machines, systems and versions of Node than the one named.',
  'Large inputs and outputs: the payloads are small numbers and objects, so copying and checking values is nearly free here.',
  'Event listeners, and inspectors outside the case of that name: nobody watches the runs.',
  'Long runs: every process is fresh and, but for `redis`, nothing is warmed up, which favours small libraries at small sizes; pauses and tail latencies are not looked at.',
  'Other peers. p-queue keeps nothing that could be restored, LangGraph does much that taskchart does not: a ratio says what a step costs, not which one to use.',
];

const USAGE = 'Usage: npm run bench -- [--quick] [--only case,case] [--rounds n] [--no-build] [--list]';

function options() {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        rounds: { type: 'string' },
        'no-build': { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
      },
    });
    const known = CASES.map((one) => one.id);
    const only = values.only?.split(',') ?? known;
    const unknown = only.find((name) => !known.includes(name));
    if (unknown !== undefined) throw new Error(`There is no case "${unknown}". Cases: ${known.join(', ')}.`);
    const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
    if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be an integer of at least 1, but is "${values.rounds}".`);
    return { ...values, only, rounds };
  } catch (error) {
    process.stderr.write(`${error.message}\n${USAGE}\n`);
    process.exit(2);
  }
}

const { quick, only, rounds, list, 'no-build': noBuild } = options();
const print = (text) => process.stdout.write(`${text}\n`);

if (list) {
  for (const one of CASES) print(`${one.id.padEnd(12)} ${one.title}`);
  process.exit(0);
}

ensurePackages(print);
ensureBuild(!noBuild, print);

const run = { date: new Date().toISOString(), quick, rounds, machine: machine() };
print(machineLines(run.machine).join('\n'));

for (const one of CASES.filter(({ id }) => only.includes(id))) {
  print(`\n${one.title}`);
  const result = { id: one.id, title: one.title, ...(await one.run({ quick, rounds, tell: print })) };
  printCase(result, run, print);
  writeCase(result, run);
}

const goals = writeSummary(CASES.map(({ id }) => id), quick, NOT_MEASURED);
print(`\nWritten to bench/results/${quick ? 'quick/' : ''} (summary.md holds all of it). Not measured:`);
for (const line of NOT_MEASURED) print(`- ${line}`);

// Tiny sizes say nothing about goals; that everything runs and gives the right answer, they do say.
if (!quick) {
  const open = goals.filter((goal) => goal.met !== true);
  const lines = open.map((goal) => `  ${goal.what}: ${goal.met === undefined ? 'not measured' : goal.measured}, wanted ${goal.target}`);
  print(open.length === 0 ? '\nEvery goal was met.' : `\nGoals that were not met:\n${lines.join('\n')}`);
}
if (broken.length > 0) {
  print(`\nBroken: ${broken.join('; ')}.`);
  process.exitCode = 1;
}
