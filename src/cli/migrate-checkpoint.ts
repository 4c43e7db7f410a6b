/**
 * `taskchart migrate-checkpoint`: a checkpoint of the older Python system becomes a stored run.
 *
 * Owns: reading the files, storing the result. Does not own: what the old fields mean (runtime/legacy.ts).
 *
 * Invariant: the old files are only read, and the pickle beside them is not even opened.
 */
import { TextFileError, readTextFile } from '../adapters/text-file.ts';
import { serializeCheckpoint } from '../core/checkpoint.ts';
import type { Json } from '../core/json.ts';
import { cut } from '../core/preview.ts';
import { convertLegacyCheckpoint } from '../runtime/legacy.ts';
import { sayTo, type Host } from './follow.ts';
import { readJsonFile } from './input.ts';
import { loadWorkflow } from './load.ts';
import { resumeCommand } from './next.ts';
import { thisOwner } from './owner.ts';
import { refuseKnown } from './run.ts';
import { asking, checkRunId, storeOf, type StoreFlags } from './store.ts';
import { oneLine } from './text.ts';
import { UsageError, exitCodes } from './usage.ts';

export interface MigrateFlags extends StoreFlags {
  readonly workflowFile: string;
  readonly workflow?: string;
  readonly inputs?: string;
  readonly rename?: readonly string[];
  readonly as?: string;
  readonly json?: boolean;
}

export async function migrateCheckpoint(base: string, flags: MigrateFlags, host: Host): Promise<number> {
  if (flags.as !== undefined) checkRunId(flags.as);
  const rename = renames(flags.rename ?? []);
  const inputs = flags.inputs === undefined ? undefined : await inputsIn(flags.inputs);
  const path = base.replace(/\.(state|meta)\.json$/, '');
  const files = { state: await needed(`${path}.state.json`), meta: await textOf(`${path}.meta.json`), base: path };
  const given = await storeOf(flags, host.process.env);
  host.leaving.loading(flags.workflowFile);
  const workflow = await loadWorkflow(flags.workflowFile, flags.workflow);
  host.leaving.ended();
  const { checkpoint, notes } = await asking(async () => convertLegacyCheckpoint(files, workflow.definition, { rename, savedAt: Date.now(), ...(inputs && { inputs }), ...(flags.as === undefined ? {} : { runId: flags.as }) }));
  const { runId } = checkpoint;
  await refuseKnown(given, runId);
  await asking(async () => {
    const writer = await given.store.open(runId, thisOwner());
    await writer.save(serializeCheckpoint(checkpoint), checkpoint.seq);
    await writer.close();
  });
  const next = resumeCommand({ runId, file: flags.workflowFile, workflow: flags.workflow, store: given.flag });
  const say = sayTo(host);
  if (flags.json === true) await host.write(`${JSON.stringify({ run: runId, store: given.name, notes, next })}\n`);
  else {
    say(`taskchart: run ${runId} is stored in ${oneLine(given.name)}`);
    for (const note of notes) say(`  note: ${oneLine(note)}`);
    say(`  go on: ${next}`);
  }
  return exitCodes.ok;
}

async function inputsIn(file: string): Promise<Readonly<Record<string, Json>>> {
  const where = `--inputs ${cut(file, 200)}`;
  const value = await readJsonFile(where, file.startsWith('@') ? file.slice(1) : file);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UsageError(`${where} must hold an object: task id → input`);
  return value as Readonly<Record<string, Json>>;
}

function renames(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [before, after, ...more] = pair.split('=');
      if (before === undefined || before === '' || after === undefined || after === '' || more.length > 0) throw new UsageError(`--rename ${cut(pair, 100)}: give old=new, such as --rename fetch_users=fetchUsers`);
      return [before, after];
    }),
  );
}

/** Nothing where there is no such file. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readTextFile(path);
  } catch (thrown) {
    if (!(thrown instanceof TextFileError)) throw thrown;
    if (thrown.missing) return undefined;
    throw new UsageError(`${cut(path, 200)}: ${thrown.message}`);
  }
}

async function needed(path: string): Promise<string> {
  const text = await textOf(path);
  if (text === undefined) throw new UsageError(`${cut(path, 200)}: there is no such file; give the path without its endings (.state.json, .meta.json)`);
  return text;
}
