/**
 * The operations of the store on a run's lists, each a script: atomic, and safe to repeat when its reply was lost.
 *
 * Owns: the keys, the scripts, their replies. Does not own: what elements mean (store-format.ts), who calls when.
 *
 * Invariants
 * 1. Only the newest opener writes: its epoch and nonce stand in the head, and every write carries them.
 * 2. Writes are numbered, and each says what was acknowledged before it. What goes beyond that was written by the same owner
 *    and never acknowledged, so it is taken back first: a write that is sent twice counts once.
 * 3. A server that has forgotten acknowledged writes (restarted from an older state) says up to which number it knows, and
 *    changes nothing; one that has forgotten the opening itself takes it from the write.
 * 4. Head, snapshots and log change together or not at all.
 */
import type { RunOwner } from '../../ports.ts';
import { type CallOptions, type Connection, Script } from './client.ts';
import { decodeHead, foreign, type Contents, type Head } from './store-format.ts';

/** What is read may be big. */
const READING = { timeoutMs: 30_000 };
/** What is written is as big as it is. */
const writing = (characters: number): { timeoutMs: number } => ({ timeoutMs: 5000 + Math.ceil(characters / 1000) });

const HEAD = `
local function readHead(key)
  local text = redis.call('LINDEX', key, 0)
  if not text then return nil end
  local epoch, nonce, op, base, last, revision, at, first, second, workflow, owner =
    string.match(text, '^taskchart/1|(%d+)|(%w+)|(%d+)|(%d+)|(%d+)|(%-?%d+)|(%d+)|(%-?%d+)|(%-?%d+)|([^|]*)|(.*)$')
  if not epoch then return false end
  return { text = text, epoch = tonumber(epoch), nonce = nonce, op = tonumber(op), base = tonumber(base), last = tonumber(last), revision = revision, at = at, first = first, second = second, workflow = workflow, owner = owner }
end
local function whole(number) return string.format('%.0f', number) end
local function headText(h)
  return table.concat({ 'taskchart/1', whole(h.epoch), h.nonce, whole(h.op), whole(h.base), whole(h.last), h.revision, h.at, h.first, h.second, h.workflow, h.owner }, '|')
end
`;

/**
 * KEYS run, log. ARGV 1 epoch, 2 nonce, 3 owner; 4 the number of the last write, 5 the length that the log has had since the
 * run began, 6 and 7 the snapshots, all as acknowledged; 8 now, 9 the run's revision after this write.
 */
const OWNED = `${HEAD}
local h = readHead(KEYS[1])
if h == nil then return { 'gone' } end
if h == false then return { 'foreign' } end
local epoch = tonumber(ARGV[1])
if h.epoch > epoch or (h.epoch == epoch and h.nonce ~= ARGV[2]) then return { 'conflict', h.text } end
local op, last = tonumber(ARGV[4]), tonumber(ARGV[5])
if h.op < op or h.last < last or h.base > last or redis.call('LLEN', KEYS[2]) ~= h.last - h.base then return { 'lost', h.text } end
h.epoch, h.nonce, h.owner = epoch, ARGV[2], ARGV[3]
if h.last > last then redis.call('RPOP', KEYS[2], h.last - last) end
for slot, name in ipairs({ 'first', 'second' }) do
  if h[name] ~= '-1' and h[name] ~= ARGV[6] and h[name] ~= ARGV[7] then
    redis.call('LSET', KEYS[1], slot, '')
    h[name] = '-1'
  end
end
h.op, h.last, h.at, h.revision = op + 1, last, ARGV[8], ARGV[9]
`;

const STATE = `
local function state(h)
  local slot = 2
  if tonumber(h.first) > tonumber(h.second) then slot = 1 end
  if h.first == '-1' and h.second == '-1' then return { 'ok', headText(h), '', '0', {} } end
  local snapshot = redis.call('LINDEX', KEYS[1], slot) or ''
  local cover = tonumber(string.match(snapshot, '^%d+|(%d+)|') or h.base)
  if cover < h.base then cover = h.base end
  return { 'ok', headText(h), snapshot, whole(cover), redis.call('LRANGE', KEYS[2], cover - h.base, -1) }
end
`;

/** KEYS run, log, registry. ARGV id, nonce, now, owner. */
const open = new Script(`${HEAD}${STATE}
local h = readHead(KEYS[1])
if h == false then return { 'foreign' } end
if h == nil then
  h = { epoch = 1, nonce = ARGV[2], op = 0, base = 0, last = 0, revision = '-1', at = ARGV[3], first = '-1', second = '-1', workflow = '', owner = ARGV[4] }
  redis.call('DEL', KEYS[2])
  redis.call('RPUSH', KEYS[1], headText(h), '', '')
  redis.call('RPUSH', KEYS[3], ARGV[1])
elseif h.nonce ~= ARGV[2] then
  h.epoch = h.epoch + 1
  h.nonce, h.at, h.owner = ARGV[2], ARGV[3], ARGV[4]
  redis.call('LSET', KEYS[1], 0, headText(h))
end
return state(h)
`);

/** ARGV from 10 on: elements. */
const append = new Script(`${OWNED}
for from = 10, #ARGV, 500 do
  redis.call('RPUSH', KEYS[2], unpack(ARGV, from, math.min(from + 499, #ARGV)))
end
h.last = last + #ARGV - 9
redis.call('LSET', KEYS[1], 0, headText(h))
return { 'ok' }
`);

/** ARGV 10 the snapshot's own revision, 11 that of the snapshot to keep, 12 the number to drop the log up to, 13 workflow, 14 element. */
const save = new Script(`${OWNED}
local slot, name = 1, 'first'
if h.first ~= ARGV[10] and (h.second == ARGV[10] or h.first == ARGV[11]) then slot, name = 2, 'second' end
redis.call('LSET', KEYS[1], slot, ARGV[14])
h[name] = ARGV[10]
local drop = tonumber(ARGV[12])
if drop > h.base then
  redis.call('LTRIM', KEYS[2], drop - h.base, -1)
  h.base = drop
end
h.workflow = ARGV[13]
redis.call('LSET', KEYS[1], 0, headText(h))
return { 'ok' }
`);

const read = new Script(`${HEAD}${STATE}
local h = readHead(KEYS[1])
if h == nil then return { 'gone' } end
if h == false then return { 'foreign' } end
if ARGV[1] == 'newest' then return state(h) end
return { 'ok', h.text, '', whole(h.base), redis.call('LRANGE', KEYS[2], 0, -1), redis.call('LRANGE', KEYS[1], 1, 2) }
`);

/** KEYS the runs. Of each its head and the beginnings of its snapshots. */
const look = new Script(`
local found = {}
for i = 1, #KEYS do
  local run = { redis.call('LINDEX', KEYS[i], 0) or '' }
  if ARGV[1] == 'snapshots' then
    for slot = 1, 2 do run[slot + 1] = string.sub(redis.call('LINDEX', KEYS[i], slot) or '', 1, 200) end
  end
  found[i] = run
end
return found
`);

/** KEYS run, log, mailbox, registry. ARGV id. */
const remove = new Script(`
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('LREM', KEYS[4], 0, ARGV[1])
return 'OK'
`);

/** KEYS mailbox. ARGV nonce|text. One that was posted already keeps its number. */
const post = new Script(`
local at = redis.call('LPOS', KEYS[1], ARGV[1], 'RANK', -1, 'MAXLEN', 1000)
if at then return at + 1 end
return redis.call('RPUSH', KEYS[1], ARGV[1])
`);

/** Who may write. */
export interface Claim {
  readonly epoch: number;
  readonly nonce: string;
  readonly owner: RunOwner;
}

/** `lost`: the server knows only the writes up to `op` of the head. */
export type Written = { readonly status: 'ok' | 'gone' | 'foreign' } | { readonly status: 'conflict' | 'lost'; readonly head: Head | undefined };

/** A write, which may be sent any number of times. */
export interface Write {
  /** What was acknowledged before it: the number of writes, the length that the log has had, the snapshots. */
  readonly op: number;
  readonly last: number;
  readonly snapshots: readonly number[];
  /** The run's revision after it. */
  readonly revision: number;
  readonly body:
    | { readonly kind: 'append'; readonly elements: readonly string[] }
    /** `keep`: the snapshot that must not be replaced; `drop`: the last entry of the log that no snapshot needs any more. */
    | { readonly kind: 'save'; readonly revision: number; readonly keep: number; readonly drop: number; readonly workflow: string; readonly element: string };
}

/** Rejects with TransportError where Redis or the way to it fails, and with CheckpointError for what is none of ours. */
export class StoreLists {
  readonly #connection: Connection;
  readonly #base: string;

  constructor(connection: Connection, namespace: string, prefix: string) {
    this.#connection = connection;
    this.#base = `${prefix}{${namespace}}:`;
  }

  /** `nonce`: of this opener alone, and the same when it tries again. */
  async open(runId: string, owner: RunOwner, nonce: string): Promise<{ readonly claim: Claim; readonly contents: Contents }> {
    const contents = this.#contents(runId, await this.#run(open, [this.run(runId), this.#log(runId), this.#registry], [runId, nonce, Date.now(), JSON.stringify(owner)], READING));
    if (contents === undefined) throw foreign(runId, this.run(runId));
    return { claim: { epoch: contents.head.epoch, nonce, owner }, contents };
  }

  async write(runId: string, { epoch, nonce, owner }: Claim, { op, last, snapshots, revision, body }: Write): Promise<Written> {
    const common = [epoch, nonce, JSON.stringify(owner), op, last, snapshots[0] ?? -1, snapshots[1] ?? -1, Date.now(), revision];
    const keys = [this.run(runId), this.#log(runId)];
    if (body.kind === 'save') return written(await this.#run(save, keys, [...common, body.revision, body.keep, body.drop, body.workflow, body.element], writing(body.element.length)));
    return written(await this.#run(append, keys, [...common, ...body.elements], writing(body.elements.reduce((sum, { length }) => sum + length, 0))));
  }

  async read(runId: string, which: 'newest' | 'all'): Promise<Contents | undefined> {
    return this.#contents(runId, await this.#run(read, [this.run(runId), this.#log(runId)], [which], READING));
  }

  async ids(): Promise<readonly string[]> {
    return (await this.#connection.call('LRANGE', [this.#registry, 0, -1], READING)) as readonly string[];
  }

  /** The heads of runs as text, each with the beginnings of its snapshots where they are asked for. */
  async look(runIds: readonly string[], which: 'heads' | 'snapshots'): Promise<readonly (readonly string[])[]> {
    return (await this.#run(look, runIds.map((id) => this.run(id)), [which])) as readonly (readonly string[])[];
  }

  async remove(runId: string): Promise<void> {
    await this.#run(remove, [this.run(runId), this.#log(runId), this.#mailbox(runId), this.#registry], [runId]);
  }

  async post(runId: string, element: string): Promise<number> {
    return (await this.#run(post, [this.#mailbox(runId)], [element], writing(element.length))) as number;
  }

  async posts(runId: string, after: number): Promise<readonly string[]> {
    return (await this.#connection.call('LRANGE', [this.#mailbox(runId), after, -1])) as readonly string[];
  }

  run(runId: string): string {
    return `${this.#base}run:${runId}`;
  }

  #log(runId: string): string {
    return `${this.#base}log:${runId}`;
  }

  #mailbox(runId: string): string {
    return `${this.#base}mail:${runId}`;
  }

  get #registry(): string {
    return `${this.#base}runs`;
  }

  #run(script: Script, keys: readonly string[], args: readonly (string | number)[], options?: CallOptions): Promise<unknown> {
    return this.#connection.run(script, keys, args, options);
  }

  #contents(runId: string, reply: unknown): Contents | undefined {
    const [status, text = '', snapshot = '', before = '0', log = [], snapshots] = reply as readonly [string, string?, string?, string?, string[]?, string[]?];
    if (status === 'gone') return undefined;
    const head = status === 'ok' ? decodeHead(text) : undefined;
    if (head === undefined) throw foreign(runId, this.run(runId));
    return { head, snapshots: snapshots ?? [snapshot], before: Number(before), log };
  }
}

function written(reply: unknown): Written {
  const [status, head] = reply as readonly [Written['status'], string?];
  return status === 'conflict' || status === 'lost' ? { status, head: decodeHead(head ?? '') } : { status };
}
