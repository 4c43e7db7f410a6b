/**
 * `taskchart inspect`: the relay and its page, until Ctrl-C; with `--checkpoint` also a file, without any process that runs it.
 *
 * Owns: what is said, and when it ends. Does not own: the relay (inspect/relay).
 *
 * Invariants
 * 1. The address stands alone on the first line of stdout; where TASKCHART_INSPECT names one, it is that one.
 * 2. Nothing listens before flags and files have been found good.
 */
import { TextFileError, readTextFile } from '../adapters/text-file.ts';
import { parseCheckpoint, type Checkpoint } from '../core/checkpoint.ts';
import { isTaskchartError } from '../core/errors.ts';
import { showCheckpoint, type ShownCheckpoint } from '../inspect/checkpoint.ts';
import { relayFromEnvironment } from '../inspect/relay-address.ts';
import { openRelay, type OpenRelay, type RelayOptions } from '../inspect/relay/server.ts';
import { failureLine } from './failure.ts';
import { sayTo, type Host } from './follow.ts';
import { loadWorkflow } from './load.ts';
import { untilSignal } from './until-signal.ts';
import { RefusedError, UsageError, exitCodes } from './usage.ts';

const SOURCE = 'checkpoint0';

export interface InspectFlags {
  readonly port?: number;
  readonly readOnly?: boolean;
  readonly allowOrigin?: readonly string[];
  readonly checkpoint?: string;
  readonly workflow?: string;
  readonly redact?: readonly string[];
  readonly json?: boolean;
}

export async function inspect(file: string | undefined, flags: InspectFlags, host: Host): Promise<number> {
  if (file !== undefined && flags.checkpoint === undefined) throw new UsageError('the module of a workflow is of use with --checkpoint alone; runs bring their graphs themselves');
  const shown = flags.checkpoint === undefined ? undefined : await openCheckpoint(flags.checkpoint, file, flags, host);
  const relay = await started(flags);
  if (shown !== undefined) relay.hub.show(SOURCE, { kind: 'file', title: flags.checkpoint?.slice(0, 200) ?? '' }, shown.messages, (session, command) => shown.answer(session, command));
  await host.write(flags.json === true ? `${JSON.stringify({ url: relay.url, port: relay.port })}\n` : `${relay.url}\n`);
  if (flags.json !== true) for (const line of hints(relay.url, shown !== undefined)) sayTo(host)(line);
  await untilSignal(host.process);
  await relay.close();
  return exitCodes.ok;
}

function hints(url: string, checkpoint: boolean): string[] {
  const lines = ['taskchart: open the address above in a browser; Ctrl-C ends it'];
  if (!checkpoint) lines.push(`  runs connect to it with  TASKCHART_INSPECT='${url}' node <program>`, "  or in code with          workflow.start(input, { inspect: connectInspector(address) })");
  return lines;
}

async function started({ port, readOnly, allowOrigin }: InspectFlags): Promise<OpenRelay> {
  const wanted = wantedAddress();
  const options: RelayOptions = {
    ...wanted, ...(port === undefined ? {} : { port }), ...(readOnly === true ? { readOnly } : {}), ...(allowOrigin === undefined ? {} : { allowOrigins: allowOrigin }),
  };
  try {
    return await openRelay(options);
  } catch (thrown) {
    if (isTaskchartError(thrown) && thrown.code === 'definition/bad-option') throw new UsageError(failureLine(thrown));
    if (isTaskchartError(thrown) && thrown.code === 'inspect/relay') throw new RefusedError(failureLine(thrown));
    throw thrown;
  }
}

/** Invariant 1. */
function wantedAddress(): Pick<RelayOptions, 'host' | 'port' | 'token'> | undefined {
  const text = relayFromEnvironment();
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const token = url?.searchParams.get('token') ?? '';
  if (url === undefined || url.protocol !== 'http:' || token === '') throw new UsageError('TASKCHART_INSPECT is no address of a relay: http://127.0.0.1:<port>/?token=<token>');
  return { host: url.hostname === '[::1]' ? '::1' : url.hostname, port: Number(url.port === '' ? 80 : url.port), token };
}

async function openCheckpoint(path: string, file: string | undefined, flags: InspectFlags, host: Host): Promise<ShownCheckpoint> {
  const checkpoint = await readCheckpoint(path);
  if (file !== undefined) host.leaving.loading(file);
  const workflow = file === undefined ? undefined : await loadWorkflow(file, flags.workflow);
  host.leaving.ended();
  try {
    return showCheckpoint(checkpoint, SOURCE, workflow?.definition, flags.redact ?? []);
  } catch (thrown) {
    throw isTaskchartError(thrown) ? new UsageError(`${path.slice(0, 200)}: ${failureLine(thrown)}`) : thrown;
  }
}

/** The text of `run.snapshot()`, or a snapshot of a file store, which has one line before it. */
async function readCheckpoint(path: string): Promise<Checkpoint> {
  const shown = path.slice(0, 200);
  try {
    const text = await readTextFile(path);
    const stored = text.startsWith('{"format":"taskchart/snapshot"');
    return parseCheckpoint(stored ? text.slice(text.indexOf('\n') + 1) : text);
  } catch (thrown) {
    if (thrown instanceof TextFileError) throw new UsageError(`--checkpoint ${shown}: ${thrown.message}`);
    if (isTaskchartError(thrown)) throw new UsageError(`--checkpoint ${shown}: ${failureLine(thrown)}`);
    throw thrown;
  }
}
