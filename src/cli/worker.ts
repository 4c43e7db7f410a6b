/**
 * `taskchart worker`: a process that executes the units of a queue with the tasks that modules define.
 *
 * Owns: what happens before it works, what it tells, how signals end it. Does not own: the worker (runtime/worker), which
 * Redis is meant (redis-flags.ts).
 *
 * Invariants
 * 1. Nothing is connected before flags and modules have been found good.
 * 2. No secret is written: of the connection, host and port alone are shown.
 * 3. The first signal drains, the second gives back, and from the third on the platform decides.
 */
import type { Command } from 'commander';
import { isTaskchartError } from '../core/errors.ts';
import { cut } from '../core/preview.ts';
import type { Logger } from '../ports.ts';
import { TaskFinder } from '../runtime/find.ts';
import type { TaskWorker, WorkerStatus } from '../runtime/worker/worker.ts';
import { failureLine } from './failure.ts';
import type { Host } from './follow.ts';
import { serveHealth } from './health.ts';
import { loadModule } from './load.ts';
import { addRedisFlags, redisConfigOf, redisHelp, type RedisFlags } from './redis-flags.ts';
import { fileText } from './stored-commands.ts';
import { oneLine } from './text.ts';
import { StartError, UsageError, exitCodes } from './usage.ts';
import { addWorkerFlags, workerFlagsOf, workerHelp, type WorkerFlags } from './worker-flags.ts';

const ID_TAKEN = 3;
const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** Workflows, and tasks, that the banner names. */
const IDS_SHOWN = 300;

export function addWorkerCommand(command: Command, host: Host, ended: (code: number) => void): void {
  const worker = command.command('worker').description('execute units of a Redis queue with the tasks that modules define').argument('<module...>', `${fileText}; each defines workflows or tasks`);
  addWorkerFlags(addRedisFlags(worker))
    .addHelpText('after', `${redisHelp}\n${workerHelp}`)
    .action(async (files: string[], flags: RedisFlags & WorkerFlags) => ended(await work(files, flags, host)));
}

async function work(files: readonly string[], given: RedisFlags & WorkerFlags, host: Host): Promise<number> {
  const { env } = host.process;
  const flags = workerFlagsOf(given, env);
  const config = { ...redisConfigOf(given, env), ...(flags.queue === undefined ? {} : { queue: flags.queue }) };
  // Until the worker holds them itself: a module need not export what it defines.
  const finder = new TaskFinder();
  for (const file of files) {
    host.leaving.loading(file);
    await loadModule(file);
    finder.keep();
  }
  host.leaving.ended();
  const { createTaskQueue, TaskWorker } = await import('../redis.ts');
  const queue = asUsage(() => createTaskQueue({ backend: 'redis', ...config }));
  const { concurrency, id, lease, drain, deliveries, healthPort } = flags;
  const worker = asUsage(() => new TaskWorker({ queue, concurrency, id, leaseMs: lease, drainMs: drain, deliveries, logger: jsonLines(host) }));
  // Held up to here.
  finder.keep();
  const { tasks, workflows } = worker.status();
  if (tasks.length + workflows.length === 0) throw new UsageError(`${files.map((file) => cut(file, 200)).join(', ')} ${files.length === 1 ? 'defines' : 'define'} no workflow and no task`);
  const health = healthPort === undefined ? undefined : await serveHealth(healthPort, () => worker.status());
  try {
    await host.write(banner(worker.status(), config.namespace, health?.port));
    return await serve(worker, host);
  } finally {
    health?.close();
    await queue.close();
  }
}

async function serve(worker: TaskWorker, host: Host): Promise<number> {
  const { process } = host;
  let heard = 0;
  const onSignal = (): void => {
    heard += 1;
    // How it ends is told by `ended`.
    if (heard === 1) void worker.drain().catch(() => undefined);
    else void worker.stop().catch(() => undefined);
    if (heard === 2) for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    // What keeps it from ever working is told by how it ends.
    await worker.start().catch(() => undefined);
    const verdict = await worker.ended;
    if (verdict.kind === 'taken') return ID_TAKEN;
    return verdict.kind === 'drained' ? exitCodes.ok : exitCodes.failed;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** Options that the library refuses come from flags here. */
function asUsage<T>(make: () => T): T {
  try {
    return make();
  } catch (thrown) {
    if (!isTaskchartError(thrown)) throw thrown;
    if (thrown.code !== 'definition/bad-option') throw new StartError(thrown);
    const option = String(thrown.details?.['option'] ?? '');
    throw new UsageError(failureLine(thrown).replace(/^DefinitionError: Option \S+/, `--${option.slice(option.lastIndexOf('.') + 1).replace(/Ms$/, '')}`));
  }
}

/** The log of a worker, for programs; what is for those who debug the library is left out. */
export function jsonLines({ process }: Pick<Host, 'process'>): Logger {
  return {
    log(level, message, fields) {
      if (level === 'debug') return;
      process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), level, message, ...fields })}\n`);
    },
  };
}

function banner({ id, queue, concurrency, workflows, tasks }: WorkerStatus, namespace = 'taskchart', healthPort: number | undefined): string {
  const lines = [
    `taskchart worker ${id}`,
    `  queue      ${queue}, namespace ${namespace}, ${concurrency} at a time`,
    ...(workflows.length === 0 ? [] : [`  workflows  ${listed(workflows)}`]),
    ...(tasks.length === 0 ? [] : [`  tasks      ${listed(tasks)}`]),
    ...(healthPort === undefined ? [] : [`  health     http://0.0.0.0:${healthPort}/`]),
  ];
  return `${lines.join('\n')}\n`;
}

function listed(ids: readonly string[]): string {
  const shown = oneLine(ids.slice(0, IDS_SHOWN).join(', '));
  return ids.length > IDS_SHOWN ? `${shown}, and ${ids.length - IDS_SHOWN} more` : shown;
}
