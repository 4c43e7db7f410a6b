/** The flags of the commands that watch. What they do is loaded when they are used: other commands need no server. */
import type { Command } from 'commander';
import type { Host } from './follow.ts';
import type { InspectFlags } from './inspect.ts';
import { fileText, workflowText, wholeNumber } from './stored-commands.ts';
import type { TopFlags } from './top.ts';

const addressHelp = `
The address with its token is printed. Runs connect to it where
  TASKCHART_INSPECT=<address>   is set for their process, or
  connectInspector(<address>)   is given to a run as { inspect }.
Where TASKCHART_INSPECT is set for this command too, it takes that address, so that
it can be started again without starting the runs again.`;

/** `ended` is given the exit code. */
export function addInspectCommands(command: Command, host: Host, ended: (code: number) => void): void {
  const several = (one: string, before: readonly string[] = []): readonly string[] => [...before, one];
  command
    .command('inspect')
    .description('watch runs in a browser: serves a page on this machine alone, and what connects to it')
    .argument('[file]', `with --checkpoint: the module of its workflow, which has the graph: ${fileText}`)
    .option('--port <n>', 'listen there (default: any free port)', wholeNumber(0))
    .option('--read-only', 'let nobody signal, pause, resume or cancel a run from the page')
    .option('--allow-origin <origin>', 'let pages of this origin send their runs here, besides those of this machine; may be given several times', several)
    .option('--checkpoint <file>', 'show what is in a checkpoint, without running it')
    .option('--redact <path>', 'with --checkpoint: leave out what stands at this path, such as card.number; may be given several times', several)
    .option('--workflow <id>', workflowText)
    .option('--json', 'for programs: the address as JSON')
    .addHelpText('after', addressHelp)
    .action(async (file: string | undefined, flags: InspectFlags) => {
      const { inspect } = await import('./inspect.ts');
      ended(await inspect(file, flags, host));
    });
  command
    .command('top')
    .description('runs, queues and workers of everything that a relay sees, and their rates')
    .option('--url <address>', 'what taskchart inspect has printed (default: TASKCHART_INSPECT)')
    .option('--once', 'print it once; so without a terminal')
    .option('--json', 'for programs: JSON, one line each second')
    .action(async (flags: TopFlags) => {
      const { top } = await import('./top.ts');
      ended(await top(flags, host));
    });
}
