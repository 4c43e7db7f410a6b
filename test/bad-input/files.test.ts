/** Files of a run that were cut, flipped, replaced, linked: ACCEPTANCE 31, 52, 53. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileStoreOn } from '../../src/adapters/file/store.ts';
import { CheckpointError, isTaskchartError } from '../../src/core/errors.ts';
import type { CheckpointStore, StoredRun } from '../../src/ports.ts';
import { fileStore } from '../../src/stores.ts';
import { Disk } from '../contract/store/disk.ts';

const fixture = join(import.meta.dirname, '../fixtures/checkpoints/file-store-1');
const golden = new Map(
  readdirSync(fixture, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name)).map((path) => [path.slice(fixture.length + 1), readFileSync(path)] as const),
);

const A = 'order-7/1700000000001';
const B = 'order-7/1700000000002';
const newestSnapshot = `${A}-3-4.snapshot`;
const olderSnapshot = `${A}-2-0.snapshot`;
const newestJournal = `${B}-1.journal`;
const middleJournal = `${A}-3.journal`;
const oldestJournal = `${A}-2.journal`;
const claim = `${B}.epoch`;
const message = 'order-7/posts/1.post';

const envelope = (path: string): string => (golden.get(path) ?? Buffer.alloc(0)).toString().split('\n')[1] ?? '';
const entries = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, at) => `[${from + at + 1},{"type":"TICK","text":"né ${from + at + 1}"}]`);
const state = (snapshot: 0 | 4, to: number): StoredRun => ({ checkpoint: envelope(snapshot === 0 ? olderSnapshot : newestSnapshot), revision: snapshot, journal: entries(snapshot, to) });

/** The golden store on a disk in memory, with one file changed: absent where there are no bytes. */
function with_(path: string, bytes: Uint8Array | undefined): { disk: Disk; store: CheckpointStore } {
  const disk = new Disk();
  for (const [name, content] of golden) if (name !== path) disk.put(`/runs/${name}`, content);
  if (bytes !== undefined) disk.put(`/runs/${path}`, bytes);
  return { disk, store: fileStoreOn(disk.fileSystem(), '/runs') };
}

function* flips(bytes: Buffer): Generator<readonly [bit: number, bytes: Buffer]> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    yield [bit, changed];
  }
}

async function refusal(promise: Promise<unknown>, where: string): Promise<CheckpointError> {
  const thrown: unknown = await promise.then((value) => new Error(`${where} was accepted: ${JSON.stringify(value)}`), (error: unknown) => error);
  if (!(thrown instanceof CheckpointError)) throw new Error(`${where} gave another error`, { cause: thrown });
  return thrown;
}

const damage = new Set(['checkpoint/empty', 'checkpoint/torn', 'checkpoint/foreign', 'checkpoint/version', 'checkpoint/damaged', 'checkpoint/invalid']);

/** Refused, with the file, the reason and the newest usable revision named; nothing written; nothing half-loaded. */
async function expectRefused(path: string, bytes: Uint8Array | undefined, usable: number, where: string): Promise<CheckpointError> {
  const { disk, store } = with_(path, bytes);
  const before = snapshotOf(disk);
  const error = await refusal(store.load('order-7'), where);
  if (!damage.has(error.code)) throw new Error(`${where} gave the code ${error.code}`, { cause: error });
  if (!error.message.includes(`/runs/${path} `) || !error.message.endsWith(`Revision ${usable} can still be loaded.`)) throw new Error(`${where}: ${error.message}`);
  if (error.details?.['usable'] !== usable || error.details['path'] !== `/runs/${path}` || !error.hint?.includes(`fork --at ${usable}`)) throw new Error(`${where}: ${JSON.stringify(error.details)} ${error.hint ?? ''}`);
  if (error.message.length > 300) throw new Error(`${where}: a long message`);
  const opening = await refusal(store.open('order-7', { host: 'h', pid: 1, since: 1 }), `${where}, opened`);
  if (opening.message !== error.message) throw new Error(`${where}, opened: ${opening.message}`);
  const found = await store.load('order-7', usable);
  const reached = found === undefined ? -1 : found.revision + found.journal.length;
  if (reached !== usable || JSON.stringify(found) !== JSON.stringify(state(found?.revision === 0 ? 0 : 4, usable))) throw new Error(`${where}: revision ${usable} is ${JSON.stringify(found)}`);
  if (snapshotOf(disk) !== before) throw new Error(`${where}: files were changed`);
  return error;
}

function snapshotOf(disk: Disk): string {
  return JSON.stringify([...disk.files()].map(([path, bytes]) => [path, bytes.toString('base64')]).sort());
}

describe('the golden run of format 1', () => {
  it('loads for ever', async () => {
    const { store } = with_('', undefined);
    expect(await store.load('order-7')).toEqual(state(4, 9));
    expect(await store.load('order-7', 0)).toEqual(state(0, 0));
    expect(await store.load('order-7', 2)).toEqual(state(0, 2));
    expect(await store.load('order-7', 4)).toEqual(state(4, 4));
    expect(await store.load('order-7', 7)).toEqual(state(4, 7));
    expect(await store.revisions('order-7')).toEqual([{ revision: 4, savedAt: 1_700_000_000_003, bytes: 280 }, { revision: 0, savedAt: 1_700_000_000_002, bytes: 280 }]);
    expect(await store.posts('order-7', 0)).toEqual([{ number: 1, text: '{"signal":"approval","payload":{"by":"zoë"}}' }]);
    expect(await store.list()).toMatchObject([{ runId: 'order-7', workflow: 'order', epoch: 1_700_000_000_002, owner: { host: 'golden.test', pid: 2, since: 1_700_000_001_000 } }]);
    const writer = await store.open('order-7', { host: 'h', pid: 3, since: 3 });
    expect(writer.stored).toEqual(state(4, 9));
    await writer.append(entries(9, 10), 10);
    expect(await store.load('order-7')).toEqual(state(4, 10));
  });
});

describe('any bit flipped', { timeout: 60_000 }, () => {
  it('in the newest snapshot: refused; all entries can be had from the snapshot before', async () => {
    const codes = new Set<string>();
    for (const [bit, bytes] of flips(golden.get(newestSnapshot) as Buffer)) codes.add((await expectRefused(newestSnapshot, bytes, 9, `bit ${bit}`)).code);
    expect([...codes].sort()).toEqual(['checkpoint/damaged', 'checkpoint/foreign', 'checkpoint/torn', 'checkpoint/version']);
  });

  it('in the newest journal: refused, its last line included; what stands before it can be had', async () => {
    const bytes = golden.get(newestJournal) as Buffer;
    const [header = '', seven = ''] = bytes.toString('latin1').split('\n');
    let count = 0;
    for (const [bit, changed] of flips(bytes)) {
      const at = bit >> 3;
      await expectRefused(newestJournal, changed, at < header.length + 1 + seven.length + 1 ? 6 : 7, `bit ${bit}`);
      count += 1;
    }
    expect(count).toBe(bytes.length * 8);
  });

  it('in the journal before: refused; what stands before it can be had', async () => {
    const bytes = golden.get(middleJournal) as Buffer;
    const header = bytes.indexOf('\n') + 1;
    let count = 0;
    for (const [bit, changed] of flips(bytes)) {
      // Where its first line is lost, so is the way to what stands before it; the newest snapshot is there.
      await expectRefused(middleJournal, changed, 4, `bit ${bit}, ${bit >> 3 < header ? 'in the first line' : 'in an entry'}`);
      count += 1;
    }
    expect(count).toBe(bytes.length * 8);
  });

  it('in what the newest state does not need: loaded as ever, and the older revision is refused', async () => {
    for (const path of [olderSnapshot, oldestJournal]) {
      let count = 0;
      for (const [bit, bytes] of flips(golden.get(path) as Buffer)) {
        const { store } = with_(path, bytes);
        expect(await store.load('order-7'), `${path} bit ${bit}`).toEqual(state(4, 9));
        const code = path === olderSnapshot ? damage : ['checkpoint/unknown-revision'];
        expect(code, `${path} bit ${bit}`).toContain((await refusal(store.load('order-7', path === olderSnapshot ? 0 : 3), `${path} bit ${bit}`)).code);
        const two: unknown = await store.load('order-7', 2).catch((error: unknown) => error);
        if (!isTaskchartError(two)) expect(two, `${path} bit ${bit}`).toEqual(state(0, 2));
        count += 1;
      }
      expect(count).toBeGreaterThan(1000);
    }
  });

  it('in the claim: the run is untouched, its owner unknown or the same', async () => {
    for (const [bit, bytes] of flips(golden.get(claim) as Buffer)) {
      const { store } = with_(claim, bytes);
      expect(await store.list(), `bit ${bit}`).toMatchObject([{ runId: 'order-7', workflow: 'order', owner: undefined }]);
      expect(await store.load('order-7')).toEqual(state(4, 9));
    }
  });

  it('in a message: refused', async () => {
    for (const [bit, bytes] of flips(golden.get(message) as Buffer)) {
      const error = await refusal(with_(message, bytes).store.posts('order-7', 0), `bit ${bit}`);
      expect(damage).toContain(error.code);
    }
  });

  it('and the list never fails, whichever file it is in', async () => {
    for (const [path, content] of golden) {
      for (const [bit, bytes] of flips(content)) {
        if (bit % 5 !== 0) continue;
        expect(await with_(path, bytes).store.list(), `${path} bit ${bit}`).toHaveLength(1);
      }
    }
  });
});

describe('cut after any byte', { timeout: 60_000 }, () => {
  it('the newest snapshot: refused', async () => {
    const bytes = golden.get(newestSnapshot) as Buffer;
    for (let end = 0; end < bytes.length; end++) {
      const error = await expectRefused(newestSnapshot, bytes.subarray(0, end), 9, `cut at ${end}`);
      expect(error.code, `cut at ${end}`).toBe(end === 0 ? 'checkpoint/empty' : 'checkpoint/torn');
    }
  });

  it('the newest journal: its torn last write is left out; cut in its first line it is refused', async () => {
    const bytes = golden.get(newestJournal) as Buffer;
    const text = bytes.toString('latin1');
    const ends = [...text.matchAll(/\n/g)].map(({ index }) => index);
    for (let end = 0; end < bytes.length; end++) {
      const cut = bytes.subarray(0, end);
      if (end <= (ends[0] as number)) {
        const error = await expectRefused(newestJournal, cut, 6, `cut at ${end}`);
        expect(error.code).toBe(end === 0 ? 'checkpoint/empty' : 'checkpoint/torn');
        continue;
      }
      const { disk, store } = with_(newestJournal, cut);
      const before = snapshotOf(disk);
      // 8 and 9 are one write. A line that lacks nothing but its end is whole.
      const reached = end >= (ends[3] as number) ? 9 : end >= (ends[1] as number) ? 7 : 6;
      expect(await store.load('order-7'), `cut at ${end}`).toEqual(state(4, reached));
      expect(snapshotOf(disk)).toBe(before);
      const writer = await store.open('order-7', { host: 'h', pid: 3, since: 3 });
      await writer.append(entries(reached, reached + 1), reached + 1);
      expect(await store.load('order-7'), `cut at ${end}, gone on`).toEqual(state(4, reached + 1));
    }
  });

  it('the journal before, which is known to go on: refused', async () => {
    const bytes = golden.get(middleJournal) as Buffer;
    for (let end = 0; end < bytes.length; end++) {
      const error = await expectRefused(middleJournal, bytes.subarray(0, end), end === bytes.length - 1 ? 6 : 4, `cut at ${end}`);
      expect(['checkpoint/empty', 'checkpoint/torn']).toContain(error.code);
    }
  });

  it('a message: refused', async () => {
    const bytes = golden.get(message) as Buffer;
    for (let end = 0; end < bytes.length; end++) {
      const error = await refusal(with_(message, bytes.subarray(0, end)).store.posts('order-7', 0), `cut at ${end}`);
      expect(['checkpoint/empty', 'checkpoint/torn']).toContain(error.code);
    }
  });
});

describe('something else in the place of a file', () => {
  const bytesOf = (path: string): Buffer => golden.get(path) as Buffer;
  const hostile: readonly (readonly [name: string, change: (bytes: Buffer) => Buffer | undefined, code: string, message: RegExp])[] = [
    ['nothing', () => undefined, 'checkpoint/damaged', /is missing/],
    ['an empty file', () => Buffer.alloc(0), 'checkpoint/empty', /is empty/],
    ['null', () => Buffer.from('null'), 'checkpoint/foreign', /is not a (snapshot|journal) of this library: it begins with "null"/],
    ['{}', () => Buffer.from('{}'), 'checkpoint/foreign', /begins with "\{\}"/],
    ['another JSON', () => Buffer.from(JSON.stringify({ name: 'x', version: 1, secret: 's'.repeat(5000) })), 'checkpoint/foreign', /begins with/],
    ['zeros', (bytes) => Buffer.alloc(bytes.length), 'checkpoint/foreign', /begins with/],
    ['a bare envelope', () => Buffer.from(envelope(newestSnapshot)), 'checkpoint/foreign', /begins with/],
    ['a byte order mark', (bytes) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]), 'checkpoint/damaged', /begins with a byte order mark/],
    ['a newer version', (bytes) => Buffer.from(bytes.toString('latin1').replace('"version":1', '"version":2'), 'latin1'), 'checkpoint/version', /has version 2; this package reads version 1/],
    ['a huge version', (bytes) => Buffer.from(bytes.toString('latin1').replace('"version":1', `"version":${'9'.repeat(30)}`), 'latin1'), 'checkpoint/version', /has version 1e\+30; this package/],
    ['an odd version', (bytes) => Buffer.from(bytes.toString('latin1').replace('"version":1', '"version":"1"'), 'latin1'), 'checkpoint/damaged', /first line that cannot be read/],
    ['Windows line ends', (bytes) => Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1'), 'checkpoint/damaged', /does not match its checksum|bytes behind its end/],
    ['an older file of the run', (bytes) => (bytes === bytesOf(newestSnapshot) ? bytesOf(olderSnapshot) : bytesOf(oldestJournal)), 'checkpoint/foreign', /was written as "1700000000001-2(-0\.snapshot|\.journal)"/],
    ['another kind of file of the run', (bytes) => (bytes === bytesOf(newestSnapshot) ? bytesOf(newestJournal) : bytesOf(newestSnapshot)), 'checkpoint/foreign', /is not a (snapshot|journal)/],
  ];

  it.each(hostile)('%s', async (_, change, code, pattern) => {
    for (const [path, usable] of [[newestSnapshot, 9], [middleJournal, 4]] as const) {
      const error = await expectRefused(path, change(bytesOf(path)), usable, path);
      expect(error.code, path).toBe(code);
      expect(error.message, path).toMatch(pattern);
      expect(error.message, 'data in the message').not.toContain('ssssssss');
    }
  });

  it('something behind the end', async () => {
    for (const junk of ['\n', ' ', 'x', '{"more":1}\n']) {
      const bytes = (path: string): Buffer => Buffer.concat([bytesOf(path), Buffer.from(junk)]);
      const error = await expectRefused(newestSnapshot, bytes(newestSnapshot), 9, 'snapshot');
      expect(error).toMatchObject({ code: 'checkpoint/damaged' });
      expect(error.message).toContain(`has ${junk.length} bytes behind its end`);
      if (junk.endsWith('\n')) await expectRefused(newestJournal, bytes(newestJournal), 9, 'journal');
      else expect(await with_(newestJournal, bytes(newestJournal)).store.load('order-7'), 'like a torn line').toEqual(state(4, 9));
    }
  });

  it('lines of a journal that were lost, repeated, moved or added', async () => {
    const lines = bytesOf(newestJournal).toString().split('\n').slice(0, -1);
    const [head = '', seven = '', eight = '', nine = ''] = lines;
    const changes: readonly (readonly [readonly string[], number])[] = [
      [[head, eight, nine], 6], [[head, nine], 6], [[head, seven, nine], 7], [[head, seven, seven, eight, nine], 7],
      [[head, eight, seven, nine], 6], [[head, seven, eight, nine, nine], 9], [[head, seven, '', eight, nine], 7], [[head, seven, eight, nine, '{}'], 9], [[head, seven, eight, nine, 'AAAAAA [1]'], 9],
    ];
    for (const [kept, usable] of changes) {
      const error = await expectRefused(newestJournal, Buffer.from(`${kept.join('\n')}\n`), usable, kept.length.toString());
      expect(error.code).toBe('checkpoint/damaged');
    }
  });

  it('a file of another run, or of another revision, however right its checksum', async () => {
    const other = fileStoreOn(new Disk().fileSystem(), '/runs');
    const disk = new Disk();
    const store = fileStoreOn(disk.fileSystem(), '/runs');
    for (const [each, id] of [[other, 'a'], [store, 'b']] as const) await (await each.open(id, { host: 'h', pid: 1, since: 1 })).save('{"workflow":"w"}', 5);
    const [path, bytes] = [...disk.files()].find(([name]) => name.endsWith('.snapshot')) as [string, Buffer];
    const { disk: target, store: victim } = with_(newestSnapshot, bytes);
    expect(path).toContain('/runs/b/');
    const error = await refusal(victim.load('order-7'), 'of another run');
    expect(error).toMatchObject({ code: 'checkpoint/foreign' });
    expect(error.message).toContain('belongs to run "b", not to "order-7"');
    expect(target.files().get(`/runs/${newestSnapshot}`)).toEqual(bytes);
    await expectRefused(newestJournal, bytesOf(middleJournal), 6, 'a journal under the name of a newer one');
  });

  it('files with other names are none of ours', async () => {
    const { disk, store } = with_('', undefined);
    for (const name of ['.DS_Store', 'notes.txt', 'x.snapshot', '9-9.journal~', '01-1.journal', '1-1-1-1.snapshot', `${'9'.repeat(40)}.epoch`, '-1.epoch', '1.5.epoch', 'posts.bak']) disk.put(`/runs/order-7/${name}`, Buffer.from('junk'));
    disk.put('/runs/.hidden/x', Buffer.from('junk'));
    disk.put('/runs/README', Buffer.from('junk'));
    expect(await store.load('order-7')).toEqual(state(4, 9));
    expect((await store.list()).map(({ runId }) => runId)).toEqual(['order-7']);
    await (await store.open('order-7', { host: 'h', pid: 1, since: 1 })).save('{}', 9);
    expect([...disk.files().keys()].filter((path) => path.endsWith('notes.txt') || path.endsWith('~'))).toHaveLength(2);
  });
});

describe('on a real disk', () => {
  let base = '';
  let runs = '';
  let store: CheckpointStore;
  const owner = { host: 'h', pid: 1, since: 1 };

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'taskchart-files-'));
    runs = join(base, 'runs');
    cpSync(fixture, runs, { recursive: true });
    store = fileStore(runs);
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  async function everyCall(runId: string): Promise<readonly CheckpointError[]> {
    const calls = [store.open(runId, owner), store.load(runId), store.load(runId, 1), store.revisions(runId), store.remove(runId), store.post(runId, 'x'), store.posts(runId, 0)];
    return Promise.all(calls.map((call, at) => refusal(call, `call ${at} of ${runId}`)));
  }

  it('run ids that lead elsewhere are refused, and nothing is made (ACCEPTANCE 53)', async () => {
    writeFileSync(join(base, 'secret'), 'secret');
    const ids = ['../x', '..', '.', '', '/', '/etc', 'a/b', 'a\\b', '..\\x', 'a\0b', '.hidden', '.removed', 'a b', 'a|b', 'a:b', 'x'.repeat(201), 'a\n', '%2e%2e/x', 'ａ/ｂ', '../'.repeat(100)];
    for (const id of ids) {
      for (const error of await everyCall(id)) {
        expect(error).toMatchObject({ code: 'checkpoint/bad-run-id', hint: expect.stringContaining('letters, digits') as string });
        expect(error.message.length).toBeLessThan(150);
      }
    }
    for (const id of [undefined, null, 7, {}, ['a']]) expect((await refusal(store.load(id as unknown as string), String(id))).code).toBe('checkpoint/bad-run-id');
    expect(readdirSync(base).sort()).toEqual(['runs', 'secret']);
    expect(readdirSync(runs)).toEqual(['order-7']);
  });

  it('a run id that is too long for the file system is refused', async () => {
    const id = '名'.repeat(150);
    expect(await refusal(store.open(id, owner), 'open')).toMatchObject({ code: 'checkpoint/bad-run-id', details: { errno: 'ENAMETOOLONG' } });
  });

  it('a run id may begin with - or _, as generated ones do', async () => {
    for (const id of ['-a', '_a', 'a', 'größe', 'V1StGXR8_Z5jdHi6B-myT']) {
      const writer = await store.open(id, owner);
      await writer.save('{"workflow":"w"}', 0);
      await writer.close();
      expect(await store.load(id)).toEqual({ checkpoint: '{"workflow":"w"}', revision: 0, journal: [] });
    }
  });

  it('a link as the folder of a run is refused and not followed (ACCEPTANCE 53)', async () => {
    renameSync(join(runs, 'order-7'), join(base, 'elsewhere'));
    symlinkSync(join(base, 'elsewhere'), join(runs, 'order-7'));
    const before = readdirSync(join(base, 'elsewhere')).sort();
    for (const error of await everyCall('order-7')) {
      expect(error).toMatchObject({ code: 'checkpoint/link', details: { path: join(runs, 'order-7') } });
      expect(error.message).toContain('is a link, which might lead anywhere');
    }
    expect(await store.list()).toEqual([]);
    expect(readdirSync(join(base, 'elsewhere')).sort()).toEqual(before);
    symlinkSync(join(base, 'nowhere'), join(runs, 'dangling'));
    for (const error of await everyCall('dangling')) expect(error.code).toBe('checkpoint/link');
  });

  it.each([[newestSnapshot, 9], [newestJournal, 6], [middleJournal, 4]] as const)('a link, a folder or a pipe in the place of %s is refused', async (path, usable) => {
    const full = join(runs, path);
    renameSync(full, join(base, 'original'));
    const puts: readonly (readonly [string, () => void, string])[] = [
      ['link', () => symlinkSync(join(base, 'original'), full), 'checkpoint/link'],
      ['folder', () => mkdirSync(full), 'checkpoint/not-a-file'],
      ['pipe', () => void execFileSync('sh', ['-c', 'mkfifo "$0"', full]), 'checkpoint/not-a-file'],
    ];
    for (const [name, put, code] of puts) {
      put();
      for (const call of [() => store.load('order-7'), () => store.open('order-7', owner)]) {
        const error = await refusal(call(), name);
        expect(error, name).toMatchObject({ code, details: { path: full, usable } });
        expect(error.message, name).toContain(`Revision ${usable} can still be loaded.`);
      }
      expect(await store.load('order-7', usable), name).toEqual(state(path === newestSnapshot ? 0 : 4, usable));
      expect(await store.list(), name).toHaveLength(1);
      rmSync(full, { recursive: true });
    }
  });

  it('a link in the place of messages is refused', async () => {
    renameSync(join(runs, message), join(base, 'post'));
    symlinkSync(join(base, 'post'), join(runs, message));
    expect((await refusal(store.posts('order-7', 0), 'message')).code).toBe('checkpoint/link');
    expect(await store.post('order-7', 'next')).toBe(2);
    rmSync(join(runs, 'order-7/posts'), { recursive: true });
    mkdirSync(join(base, 'posts'));
    symlinkSync(join(base, 'posts'), join(runs, 'order-7/posts'));
    for (const call of [() => store.posts('order-7', 0), () => store.post('order-7', 'x')]) expect((await refusal(call(), 'folder')).code).toBe('checkpoint/link');
    expect(readdirSync(join(base, 'posts'))).toEqual([]);
  });

  it('a link that waits where a writer will write is not written through', async () => {
    writeFileSync(join(base, 'victim'), 'untouched');
    const writer = await store.open('order-7', owner);
    const epoch = Number((await store.list())[0]?.epoch);
    for (const name of [`${epoch}-2-9.snapshot`, `${epoch}-2.journal`, `${epoch}-2-9.snapshot.tmp`, `${epoch}-2.journal.tmp`]) symlinkSync(join(base, 'victim'), join(runs, 'order-7', name));
    await writer.save(envelope(newestSnapshot), 9);
    await writer.append(entries(9, 10), 10);
    expect(await store.load('order-7')).toEqual({ checkpoint: envelope(newestSnapshot), revision: 9, journal: entries(9, 10) });
    expect(readFileSync(join(base, 'victim'), 'utf8')).toBe('untouched');
    await writer.close();
  });

  it('a file where a folder should be is refused', async () => {
    writeFileSync(join(runs, 'plain'), 'x');
    for (const error of await everyCall('plain')) expect(error).toMatchObject({ code: 'checkpoint/not-a-file' });
    const below = fileStore(join(runs, 'plain', 'store'));
    expect((await refusal(below.open('r', owner), 'open')).code).toBe('checkpoint/not-a-file');
    expect((await refusal(fileStore(join(runs, 'plain')).list(), 'list')).code).toBe('checkpoint/not-a-file');
    expect(existsSync(join(runs, 'plain'))).toBe(true);
  });

  it('a file system that is read-only by nature is named', async () => {
    const error = await refusal(fileStore('/proc/taskchart-store').open('r', owner), 'open');
    expect(['checkpoint/no-access', 'checkpoint/storage']).toContain(error.code);
    expect(error.details?.['errno']).toMatch(/^E/);
  });

  it('reading changes nothing', async () => {
    const list = (): string => execFileSync('ls', ['-lRi', '--time-style=full-iso', runs], { encoding: 'utf8' });
    const before = list();
    await Promise.all([store.load('order-7'), store.load('order-7', 0), store.revisions('order-7'), store.list(), store.posts('order-7', 0), store.load('nobody'), store.posts('nobody', 0), store.revisions('nobody'), store.remove('nobody')]);
    expect(list()).toBe(before);
  });

  it('a store that is not there yet is empty, and reading does not make it', async () => {
    const absent = fileStore(join(base, 'a/b/c'));
    expect([await absent.list(), await absent.load('r'), await absent.revisions('r'), await absent.posts('r', 0)]).toEqual([[], undefined, [], []]);
    await absent.remove('r');
    expect(existsSync(join(base, 'a'))).toBe(false);
    await (await absent.open('r', owner)).save('{"workflow":"w"}', 1);
    expect(await fileStore(join(base, 'a/b/c')).load('r')).toMatchObject({ revision: 1 });
  });

  it('options are checked', () => {
    for (const path of ['', undefined, 7, 'a\0b', null]) expect(() => fileStore(path as string)).toThrow(/fileStore folder/);
    expect(() => fileStore('x', { sync: 'no' } as never)).toThrow(/fileStore\.sync/);
    expect(() => fileStore('x', { synk: true } as never)).toThrow(/synk/);
  });

  it('entries that are no single line are refused, and nothing of their write is kept', async () => {
    const writer = await store.open('order-7', owner);
    for (const entry of ['a\nb', '\n', '"\ud800"']) expect(await refusal(writer.append(['1', entry], 11), entry)).toMatchObject({ code: 'checkpoint/invalid' });
    for (const revision of [9, 3, -1, 1.5, Number.NaN, 2 ** 60]) expect((await refusal(writer.append(['1'], revision), `append at ${revision}`)).code).toBe('checkpoint/out-of-order');
    for (const revision of [3, 8, -1, Number.NaN]) expect((await refusal(writer.save('{}', revision), `save at ${revision}`)).code).toBe('checkpoint/out-of-order');
    await writer.append(entries(9, 10), 10);
    expect(await store.load('order-7')).toEqual(state(4, 10));
    await writer.close();
    for (const call of [() => writer.append(['1'], 11), () => writer.save('{}', 11)]) expect((await refusal(call(), 'closed')).code).toBe('checkpoint/closed');
    const anew = await store.open('new', owner);
    expect((await refusal(anew.append(['1'], 1), 'no snapshot')).code).toBe('checkpoint/out-of-order');
    await anew.close();
  });

  it('every refusal is one of ours with a hint', async () => {
    const errors = [...(await everyCall('../x'))];
    expect(errors.every((error) => isTaskchartError(error) && error.hint !== undefined)).toBe(true);
  });
});
