/**
 * The commands that work on stored runs.
 *
 * Owns: their flags and their help. Does not own: what they do; each has a file of its own.
 *
 * Invariant: a flag that several commands have is written and explained in the same way in all of them.
 */
import { InvalidArgumentError, type Command } from 'commander';
import { cancel, type CancelFlags } from './cancel.ts';
import { checkpoints, type CheckpointsFlags } from './checkpoints.ts';
import type { Host } from './follow.ts';
import { fork, type ForkFlags } from './fork.ts';
import { migrateCheckpoint, type MigrateFlags } from './migrate-checkpoint.ts';
import { ps, type PsFlags } from './ps.ts';
import { resume, type ResumeFlags } from './resume.ts';
import { signal } from './signal.ts';
import { exitCodesHelp, storeHelp } from './usage.ts';
import { why, type WhyFlags } from './why.ts';

export const fileText = 'a JavaScript module, or TypeScript where tsx is installed';
export const workflowText = 'which workflow, where the module exports several';
export const storeText = 'a folder, sqlite:<path>, or redis://<host>';
const runText = 'the id of the run';
const jsonText = 'for programs: JSON, one per line';

/** Reads a whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    if (value < least) throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
    return value;
  };
}

/** `ended` is given the exit code. */
export function addStoredCommands(command: Command, host: Host, ended: (code: number) => void): void {
  addGoingOn(command, host, ended);
  addLooking(command, host, ended);
  command
    .command('migrate-checkpoint')
    .description('make a stored run of a checkpoint of the older Python system')
    .argument('<base>', 'the path of the checkpoint without .state.json and .meta.json')
    .requiredOption('--workflow-file <file>', `the workflow that goes on: ${fileText}`)
    .option('--workflow <id>', workflowText)
    .option('--inputs <file>', 'a JSON file: task id → input, for the tasks that were waiting')
    .option('--rename <old=new>', 'what a task is called now; may be given several times', (pair: string, before: string[]) => [...before, pair], [])
    .option('--as <id>', 'the id of the run (default: the old session id)')
    .option('--store <store>', storeText)
    .option('--json', jsonText)
    .addHelpText('after', storeHelp)
    .action(async (base: string, flags: MigrateFlags) => ended(await migrateCheckpoint(base, flags, host)));
}

function addGoingOn(command: Command, host: Host, ended: (code: number) => void): void {
  const following = (one: Command): Command =>
    one
      .option('--workflow <id>', workflowText)
      .option('--store <store>', storeText)
      .option('--watch', 'show the tasks while they run')
      .option('--manual', 'store the run only at ctx.checkpoint(), when it waits, and at its end')
      .option('--json', 'for programs: output, error and (with --watch) events as JSON, one per line')
      .addHelpText('after', `${exitCodesHelp}\n${storeHelp}`);
  following(command.command('resume').description('go on with a stored run').argument('<file>', fileText).argument('<run>', runText))
    .option('--take-over', 'also from a living process, which then stops')
    .option('--allow-additions', 'also where the workflow has more steps than when the run was stored')
    .action(async (file: string, run: string, flags: ResumeFlags) => ended(await resume(file, run, flags, host)));
  following(
    command
      .command('signal')
      .description('give a stored run the signal that it waits for; it goes on where it is owned, else here')
      .argument('<file>', fileText)
      .argument('<run>', runText)
      .argument('<name>', 'the name of the signal')
      .argument('[json]', 'its value as JSON; @file reads a file, - reads stdin (default: no value)'),
  ).action(async (file: string, run: string, name: string, json: string | undefined, flags: ResumeFlags) => ended(await signal(file, run, name, json, flags, host)));
  following(command.command('fork').description('start a new run that goes on from a revision of another one').argument('<file>', fileText).argument('<run>', runText))
    .requiredOption('--at <revision>', 'a revision that taskchart checkpoints lists', wholeNumber(0))
    .option('--as <id>', 'the id of the new run (default: a new one)')
    .action(async (file: string, run: string, flags: ForkFlags) => ended(await fork(file, run, flags, host)));
  command
    .command('cancel')
    .description('end a stored run for good, without running its other tasks')
    .argument('<run>', runText)
    .argument('[file]', 'the module of its workflow: needed where no living process owns the run')
    .option('--reason <text>', 'why; the run keeps it')
    .option('--workflow <id>', workflowText)
    .option('--store <store>', storeText)
    .addHelpText('after', storeHelp)
    .action(async (run: string, file: string | undefined, flags: CancelFlags) => ended(await cancel(run, file, flags, host)));
}

function addLooking(command: Command, host: Host, ended: (code: number) => void): void {
  const looking = (one: Command): Command => one.option('--store <store>', storeText).option('--json', jsonText).addHelpText('after', storeHelp);
  looking(command.command('ps').description('list the runs of a store, newest first')).action(async (flags: PsFlags) => ended(await ps(flags, host)));
  looking(
    command
      .command('why')
      .description('say what a stored run waits for, since when, who owns it, and what failed last')
      .argument('<run>', runText)
      .argument('[file]', 'the module of its workflow: with it the newest revision is shown, without it the last snapshot'),
  )
    .option('--workflow <id>', workflowText)
    .action(async (run: string, file: string | undefined, flags: WhyFlags) => ended(await why(run, file, flags, host)));
  looking(command.command('checkpoints').description('list the revisions of a run that can be forked').argument('<run>', runText)).action(async (run: string, flags: CheckpointsFlags) =>
    ended(await checkpoints(run, flags, host)),
  );
}
