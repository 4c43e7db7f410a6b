#!/usr/bin/env node
/** The `taskchart` command: flags, help, and the way out. */
import { createRequire } from 'node:module';
import { Command, CommanderError, Option } from 'commander';
import { addDoctorCommand } from './doctor.ts';
import { failureLines } from './failure.ts';
import { graph, type GraphFlags } from './graph.ts';
import { addInspectCommands } from './inspect-commands.ts';
import type { Host } from './follow.ts';
import { Leaving } from './leaving.ts';
import { settleInspection } from '../inspect/environment.ts';
import { run, type RunFlags } from './run.ts';
import { redirectConsole, type ConsoleTarget } from './stdout.ts';
import { addStoredCommands, fileText, storeText, wholeNumber, workflowText } from './stored-commands.ts';
import { oneLine } from './text.ts';
import { RefusedError, StartError, exitCodes, exitCodesHelp, storeHelp, usageLine } from './usage.ts';
import { addWorkerCommand } from './worker.ts';

function version(): string {
  try {
    return (createRequire(import.meta.url)('taskchart/package.json') as { readonly version: string }).version;
  } catch {
    return 'unknown: the package that this file belongs to is not there';
  }
}

function program(host: Host, ended: (code: number) => void): Command {
  const command = new Command('taskchart')
    .description('Runs typed task graphs.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .addHelpText('after', `${exitCodesHelp}\n${storeHelp}`);
  command
    .command('run')
    .description('run the workflow that a module exports; its output is written to stdout as JSON')
    .argument('<file>', fileText)
    .option('--workflow <id>', workflowText)
    .option('--input <json>', 'the input as JSON; @file reads a file, - reads stdin')
    .option('--watch', 'show the tasks while they run: as a tree on a terminal, as lines elsewhere')
    .option('--concurrency <n>', 'tasks side by side outside groups (default 1)', wholeNumber(1))
    .option('--max-steps <n>', 'fail when more tasks than this have been executed', wholeNumber(1))
    .option('--store <store>', `makes the run durable: ${storeText}`)
    .option('--run-id <id>', 'the id of the run (default: a new one)')
    .option('--manual', 'store the run only at ctx.checkpoint(), when it waits, and at its end')
    .option('--json', 'for programs: output, error and (with --watch) events as JSON, one per line')
    .addHelpText('after', `${exitCodesHelp}\n${storeHelp}`)
    .action(async (file: string, flags: RunFlags) => ended(await run(file, flags, host)));
  command
    .command('graph')
    .description('print the graph of the workflow that a module exports')
    .argument('<file>', fileText)
    .option('--workflow <id>', workflowText)
    .addOption(new Option('--mermaid', 'as a Mermaid flowchart').conflicts('json'))
    .option('--json', 'as JSON')
    .action(async (file: string, flags: GraphFlags) => {
      host.leaving.loading(file);
      ended(await graph(file, flags, host.write));
    });
  addStoredCommands(command, host, ended);
  addWorkerCommand(command, host, ended);
  addDoctorCommand(command, host, ended);
  addInspectCommands(command, host, ended);
  return command;
}

/** The exit code. */
async function main(args: readonly string[], host: Host): Promise<number> {
  let code: number = exitCodes.ok;
  const command = program(host, (ended) => (code = ended));
  try {
    await command.parseAsync(args, { from: 'user' });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitCodes.ok;
    const { stderr } = host.process;
    const line = thrown instanceof CommanderError && thrown.code === 'commander.help' ? command.helpInformation().trimEnd() : usageLine(thrown);
    if (line !== undefined) {
      stderr.write(`${line}\n`);
      return exitCodes.usage;
    }
    if (thrown instanceof RefusedError) {
      stderr.write(`taskchart: ${oneLine(thrown.message)}\n`);
      return exitCodes.failed;
    }
    const lines = thrown instanceof StartError ? failureLines(thrown.cause) : ['taskchart: this is a bug of taskchart; please report it', String(thrown instanceof Error ? thrown.stack : thrown)];
    stderr.write(`${lines.join('\n')}\n`);
    return exitCodes.failed;
  }
}

// A reader that has seen enough (`| head`) does not make the run a failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
const target: ConsoleTarget = { print: (text) => void process.stderr.write(text) };
redirectConsole(target);
const leaving = new Leaving(process);
const write = (text: string): Promise<void> => new Promise((resolve) => process.stdout.write(text, () => resolve()));

void main(process.argv.slice(2), { process, leaving, console: target, write }).then(async (code) => {
  leaving.ended();
  await settleInspection();
  leaving.leave(code);
});
