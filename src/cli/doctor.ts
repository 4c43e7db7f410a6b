/** `taskchart doctor`: examines a Redis and a namespace in it, and says what to change. */
import type { Command } from 'commander';
import { failureJson, failureLines } from './failure.ts';
import { writeLines, type Host } from './follow.ts';
import { addRedisFlags, redisConfigOf, redisHelp, type RedisFlags } from './redis-flags.ts';
import { tableLines } from './table.ts';
import { isTaskchartError } from '../core/errors.ts';
import { cut } from '../core/preview.ts';
import type { Examination, Finding, NamespaceFacts, RunFacts, ServerFacts } from '../adapters/redis/doctor.ts';
import { duration, grouped, oneLine, plural } from './text.ts';
import { exitCodes } from './usage.ts';

interface DoctorFlags extends RedisFlags {
  readonly json?: boolean;
}

const doctorHelp = `
Exit codes:
  0  nothing has to be changed; there may be warnings
  1  there is a problem, or the Redis cannot be reached
  2  wrong usage; one line on stderr says what`;

const SHOWN = 20;

/** `ended` is given the exit code. */
export function addDoctorCommand(command: Command, host: Host, ended: (code: number) => void): void {
  addRedisFlags(command.command('doctor').description('examine a Redis and a namespace in it, and say what to change'))
    .option('--json', 'for programs: one object with all facts and findings')
    .addHelpText('after', `${doctorHelp}\n${redisHelp}`)
    .action(async (flags: DoctorFlags) => ended(await doctor(flags, host)));
}

async function doctor(flags: DoctorFlags, host: Host): Promise<number> {
  const config = redisConfigOf(flags, host.process.env);
  const { examineRedis } = await import('../adapters/redis/doctor.ts');
  const { loadLibrary } = await import('../adapters/redis/client.ts');
  const { redisSettings } = await import('../adapters/redis/settings.ts');
  let found: Examination;
  try {
    // Without it there would be a finding for each question, and every one of them would be this one.
    await loadLibrary(redisSettings(config, 'redis'));
    found = await examineRedis(config);
  } catch (thrown) {
    if (!isTaskchartError(thrown)) throw thrown;
    if (flags.json === true) await writeLines([JSON.stringify({ ok: false, error: failureJson(thrown) })], host);
    else host.process.stderr.write(`${failureLines(thrown).join('\n')}\n`);
    return exitCodes.failed;
  }
  const ok = found.findings.every(({ level }) => level !== 'problem');
  await writeLines(flags.json === true ? [JSON.stringify({ ok, ...found })] : report(found, Date.now()), host);
  return ok ? exitCodes.ok : exitCodes.failed;
}

function report({ place, namespace, server, clock, contents, findings }: Examination, now: number): string[] {
  const lines = [`Redis at ${place}`];
  if (server !== undefined) lines.push(...serverLines(server));
  if (clock !== undefined) lines.push(`  clock        ${skew(clock.skewMs)}; a call takes ${clock.roundTripMs} ms`);
  lines.push('', `Namespace ${namespace}`);
  if (contents !== undefined) lines.push(...contentsLines(contents, now));
  lines.push('', ...findingLines(findings));
  return lines.map((line) => line.trimEnd());
}

function serverLines({ name, version, mode, role, memory, persistence, clients }: ServerFacts): string[] {
  const most = memory.mostBytes === 0 ? 'no limit' : `of ${megabytes(memory.mostBytes)}`;
  const sync = persistence.sync === undefined ? '' : `, appendfsync ${persistence.sync}`;
  const saved = persistence.snapshots === undefined || persistence.snapshots === '' ? 'nothing' : 'snapshots';
  return [
    `  server       ${oneLine(`${name} ${version}, ${mode}, ${role}`)}`,
    `  memory       ${megabytes(memory.usedBytes)} used, ${most}, ${oneLine(memory.policy)}`,
    `  persistence  ${persistence.appendOnly ? `append-only file${sync}` : `no append-only file, ${saved}`}${persistence.writesOk ? '' : ', the last write failed'}`,
    `  clients      ${grouped(clients.connected)}${clients.most === undefined ? '' : ` of ${grouped(clients.most)}`}`,
  ];
}

function contentsLines(contents: NamespaceFacts, now: number): string[] {
  const { workers, queues, stranded, dead, runs, stored, namespaces } = contents;
  const alive = workers.filter((worker) => worker.alive);
  const lines = [
    `  workers      ${grouped(alive.length)} live, ${plural(sum(alive.map(({ slots }) => slots)), 'slot')}, ${grouped(sum(alive.map(({ busy }) => busy)))} busy`,
    `  stranded     ${plural(sum(stranded.map(({ units }) => units)), 'unit')} in slots of workers without a lease`,
    `  dead         ${plural(dead.count, 'unit')}`,
    `  runs         ${grouped(runs.length)} with units or results, ${grouped(stored)} stored`,
    `  namespaces   ${namespaces.length === 0 ? 'none' : cut(namespaces.join(', '), 300)}`,
  ];
  if (queues.length > 0) lines.push('', ...table([['QUEUE', 'PENDING', 'WORKERS'], ...queues.map(({ queue, pending, workers: serving }) => [queue, grouped(pending), grouped(serving)])]));
  if (workers.length > 0) {
    const rows = workers.map(({ worker, queue, slots, busy, alive: lives, leaseMs }) => [worker, queue, `${grouped(busy)}/${grouped(slots)}`, lives ? `${duration(leaseMs)} left` : 'none']);
    lines.push('', ...table([['WORKER', 'QUEUE', 'BUSY', 'LEASE'], ...rows]));
  }
  const waiting = runs.filter(({ results, taken }) => results + taken > 0);
  if (waiting.length > 0) lines.push('', ...table([['RUN', 'RESULTS', 'TAKEN', 'COORDINATOR'], ...waiting.map(runRow)]));
  if (dead.newest.length > 0) {
    const rows = dead.newest.map(({ at, reason, worker, unit, deliveries }) => [at === 0 ? '-' : `${duration(now - at)} ago`, worker === '' ? '-' : worker, grouped(deliveries), cut(headOf(unit), 60), cut(reason, 120)]);
    lines.push('', ...table([['DEAD', 'WORKER', 'DELIVERIES', 'UNIT', 'REASON'], ...rows]));
  }
  return lines;
}

function runRow({ run, results, taken, coordinated, idleMs }: RunFacts): string[] {
  return [run, grouped(results), grouped(taken), coordinated ? (idleMs === undefined ? 'there' : `seen ${duration(idleMs)} ago`) : 'gone'];
}

/** Attempt, run and id: what is in a unit is the user's business. */
function headOf(unit: string): string {
  return /^\d+\|[^|]+\|[\d.]+(?=\|)/.exec(unit)?.[0] ?? unit;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const lines = tableLines(rows.slice(0, SHOWN + 1)).map((line) => `  ${line}`);
  if (rows.length > SHOWN + 1) lines.push(`  … and ${grouped(rows.length - SHOWN - 1)} more`);
  return lines;
}

function findingLines(findings: readonly Finding[]): string[] {
  if (findings.length === 0) return ['Nothing has to be changed.'];
  return findings.flatMap(({ level, what, advice }) => [`${level.padEnd(8)} ${oneLine(cut(what, 600))}`, ...(advice === undefined ? [] : [`         ${oneLine(cut(advice, 400))}`])]);
}

function skew(ms: number): string {
  return Math.abs(ms) < 50 ? 'the same as here' : `${duration(Math.abs(ms))} ${ms > 0 ? 'behind' : 'ahead of'} this machine`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
