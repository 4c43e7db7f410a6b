/** The SQLite store beside its contract: processes that share a file, crashes, damage, and a package that is missing. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import type fs from 'node:fs';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Lease, takeLease } from '../../src/adapters/sqlite/lease.ts';
import { sqliteStore } from '../../src/adapters/sqlite/store.ts';
import { CheckpointError, DefinitionError, isTaskchartError } from '../../src/core/errors.ts';
import type { CheckpointStore } from '../../src/ports.ts';
import { checkpointStoreContract } from '../../src/testing/store-contract.ts';

const engineFiles = createRequire(import.meta.url)('node:fs') as Pick<typeof fs, 'fsyncSync' | 'writeSync'>;
const child = fileURLToPath(new URL('../fixtures/sqlite/child.ts', import.meta.url));
const owner = { host: 'here', pid: 1, since: 1 };
let folder: string;
let file: string;
let children: ChildProcessWithoutNullStreams[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sqlite-'));
  file = join(folder, 'runs.db');
  children = [];
});

afterEach(() => {
  vi.restoreAllMocks();
  for (const one of children) one.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Other {
  readonly process: ChildProcessWithoutNullStreams;
  readonly lines: string[];
  /** Resolves with the first line that begins so. */
  said(start: string): Promise<string>;
  kill(): Promise<void>;
}

function other(...args: readonly string[]): Other {
  const started = spawn(process.execPath, ['--import', 'tsx', child, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(started);
  const lines: string[] = [];
  const reader = createInterface({ input: started.stdout });
  let errors = '';
  started.stderr.on('data', (chunk) => (errors += String(chunk)));
  reader.on('line', (line) => lines.push(line));
  const exited = once(started, 'exit');
  return {
    process: started,
    lines,
    async said(start) {
      for (;;) {
        const found = lines.find((line) => line.startsWith(start));
        if (found !== undefined) return found;
        await Promise.race([once(reader, 'line'), exited.then(() => Promise.reject(new Error(`the child ended: ${errors}`)))]);
      }
    },
    async kill() {
      started.kill('SIGKILL');
      await exited;
    },
  };
}

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(() => undefined, (thrown: unknown) => thrown);
  expect(isTaskchartError(error), String(error)).toBe(true);
  return (error as CheckpointError).code;
};

/** A store without a connection that is kept open: another copy of the module, as another process would have it. */
async function fresh(path: string): Promise<CheckpointStore> {
  vi.resetModules();
  const copy = await import('../../src/adapters/sqlite/store.ts');
  return copy.sqliteStore(path);
}

describe('the contract', () => {
  const make = (reopen: (path: string) => Promise<CheckpointStore>) => async () => {
    const place = mkdtempSync(join(tmpdir(), 'sqlite-'));
    const path = join(place, 'runs.db');
    return { store: sqliteStore(path), reopen: () => reopen(path), dispose: async () => rmSync(place, { recursive: true, force: true }) };
  };
  describe.each([['as another process has it', fresh], ['in the same process', async (path: string) => sqliteStore(path)]])('%s', (_, reopen) => {
    test.each(checkpointStoreContract(make(reopen)).map(({ name, run }) => [name, run] as const))('%s', async (_name, run) => {
      await expect(run()).resolves.toBeUndefined();
    });
  });
});

describe('one file', () => {
  test('reading where nothing is creates nothing', async () => {
    const store = sqliteStore(file);
    expect([await store.list(), await store.load('r'), await store.revisions('r'), await store.posts('r', 0)]).toEqual([[], undefined, [], []]);
    await store.remove('r');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is created with its folder, and read by whoever comes later', async () => {
    const deep = join(folder, 'a', 'b', 'runs.db');
    const writer = await sqliteStore(deep).open('r', owner);
    await writer.save('{"workflow":"w"}', 1);
    await writer.append(['"ä\u0000 🙂"', '2'], 3);
    expect(await (await fresh(deep)).load('r')).toEqual({ checkpoint: '{"workflow":"w"}', revision: 1, journal: ['"ä\u0000 🙂"', '2'] });
  });

  test('under two names is one file', async () => {
    const writer = await sqliteStore(file).open('r', owner);
    await writer.save('{}', 1);
    const link = join(folder, 'link.db');
    symlinkSync(file, link);
    await (await sqliteStore(link).open('r', owner)).save('{"second":1}', 2);
    expect(await codeOf(writer.append(['x'], 3))).toBe('checkpoint/conflict');
    expect(readdirSync(folder).filter((name) => name.startsWith('link.db'))).toEqual(['link.db']);
  });

  test('writes of many runs in one turn share one commit', async () => {
    const store = sqliteStore(file);
    const writers = await Promise.all(Array.from({ length: 20 }, (_, at) => store.open(`r${at}`, owner)));
    await Promise.all(writers.map((writer) => writer.save('{}', 1)));
    const sync = vi.spyOn(engineFiles, 'fsyncSync');
    await Promise.all(writers.map((writer) => writer.append(['1'], 2)));
    expect(sync).toHaveBeenCalledTimes(1);
    await writers[0]?.append(['2'], 3);
    expect(sync).toHaveBeenCalledTimes(2);
  });

  test('a piece of work that is refused disturbs no other of its commit', async () => {
    const store = sqliteStore(file);
    const [old, good] = [await store.open('a', owner), await store.open('b', owner)];
    await Promise.all([old.save('{}', 1), good.save('{}', 1)]);
    await store.open('a', owner);
    const results = await Promise.allSettled([old.append(['lost'], 2), good.append(['kept'], 2)]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect([(await store.load('a'))?.journal, (await store.load('b'))?.journal]).toEqual([[], ['kept']]);
  });

  test('an entry of two lines, a bad id, a bad path and a bad option are refused', async () => {
    const store = sqliteStore(file);
    const writer = await store.open('r', owner);
    await writer.save('{}', 0);
    expect(await codeOf(writer.append(['a\nb'], 1))).toBe('checkpoint/invalid');
    expect(await codeOf(store.open('../r', owner))).toBe('checkpoint/bad-run-id');
    expect(await codeOf(store.post('a\0b', 'x'))).toBe('checkpoint/bad-run-id');
    expect(() => sqliteStore('')).toThrow(DefinitionError);
    expect(() => sqliteStore(file, { waitMs: -1 })).toThrow(DefinitionError);
  });
});

describe('two processes', () => {
  test('take turns; a run has the owner that came last, and the other stops', async () => {
    const first = other('write', file, 'r');
    await first.said('done 20');
    const store = sqliteStore(file);
    const writer = await store.open('r', owner);
    expect(await first.said('refused')).toBe('refused checkpoint/conflict');
    const acknowledged = first.lines.filter((line) => line.startsWith('done')).length;
    const { revision, journal } = writer.stored ?? { revision: -1, journal: [] };
    expect(revision + journal.length).toBeGreaterThanOrEqual(acknowledged);
    await writer.append(['mine'], 1_000_000);
    expect((await store.load('r'))?.journal).toEqual([...journal, 'mine']);
  });

  test('a message gets through while another process writes all the time', async () => {
    const busy = other('write', file, 'r');
    await busy.said('done 5');
    expect(await other('post', file, 'r', 'hello').said('posted')).toBe('posted 1');
    expect(await sqliteStore(file).posts('r', 0)).toEqual([{ number: 1, text: 'hello' }]);
    const now = busy.lines.length;
    await expect.poll(() => busy.lines.length, { timeout: 10_000 }).toBeGreaterThan(now + 5);
  });

  test('one that cannot give the file up is named, and nothing is written', async () => {
    const blocked = other('hold', file, 'r');
    await blocked.said('open');
    const store = sqliteStore(file, { waitMs: 200 });
    const error = await store.list().catch((thrown: unknown) => thrown) as CheckpointError;
    expect(error.code).toBe('checkpoint/locked');
    expect(error.message).toContain(`process ${blocked.process.pid} on ${hostname()}`);
    await blocked.kill();
    expect((await store.list()).map(({ runId }) => runId)).toEqual(['r']);
  });

  test('one that is killed at any moment leaves all that it acknowledged, and a file that opens at once', async () => {
    let expected = 0;
    for (const enough of [3, 17, 49, 50, 120]) {
      const writer = other('write', file, 'r');
      const from = Number((await writer.said('open')).slice(5));
      await writer.said(`done ${from + enough}`);
      await writer.kill();
      const acknowledged = Math.max(...writer.lines.filter((line) => line.startsWith('done')).map((line) => Number(line.slice(5))));
      const stored = await (await fresh(file)).load('r');
      const numbers = stored?.journal.map(Number) ?? [];
      expect(numbers).toEqual(numbers.map((_, at) => (stored?.revision ?? 0) + 1 + at));
      const last = (stored?.revision ?? 0) + numbers.length;
      expect([acknowledged, acknowledged + 1]).toContain(last);
      expect(last).toBeGreaterThan(expected);
      expected = last;
    }
  }, 60_000);
});

describe('the lease', () => {
  const base = (): string => join(folder, 'x.db');
  const held = (found: object): void => writeFileSync(`${base()}.lease-4`, JSON.stringify({ ...mine(), ...found }));
  const mine = (): object => {
    const lease = takeLease(join(folder, 'probe')) as Lease;
    const text = readFileSync(join(folder, 'probe.lease-1'), 'utf8');
    lease.release();
    rmSync(join(folder, 'probe.lease-1'));
    return JSON.parse(text) as object;
  };

  test('is one process\'s until that gives it up', () => {
    const lease = takeLease(base());
    expect(lease).toBeInstanceOf(Lease);
    expect(takeLease(base())).toMatchObject({ holder: { pid: process.pid, host: hostname() } });
    (lease as Lease).release();
    expect(takeLease(base())).toBeInstanceOf(Lease);
    expect(readdirSync(folder)).toEqual(['x.db.lease-2']);
    expect((lease as Lease).lost).toBe(true);
  });

  test('of a dead process, or of an older one with the same id, is free', () => {
    held({ pid: 2 ** 22 + 1 });
    expect(takeLease(base())).toBeInstanceOf(Lease);
    rmSync(`${base()}.lease-5`);
    held({ since: 1000 });
    expect(takeLease(base())).toBeInstanceOf(Lease);
  });

  test('of another host is free after a minute of silence', () => {
    held({ host: 'elsewhere' });
    expect(takeLease(base())).toMatchObject({ holder: { host: 'elsewhere' } });
    const old = Date.now() / 1000 - 61;
    utimesSync(`${base()}.lease-4`, old, old);
    expect(takeLease(base())).toBeInstanceOf(Lease);
  });

  test('that is just being written is not free; one whose writer died in between is', () => {
    writeFileSync(`${base()}.lease-4`, '');
    expect(takeLease(base())).toMatchObject({ holder: undefined });
    const old = Date.now() / 1000 - 11;
    utimesSync(`${base()}.lease-4`, old, old);
    expect(takeLease(base())).toBeInstanceOf(Lease);
  });

  test('that another process took ends writing; what it wrote meanwhile stays', async () => {
    const store = sqliteStore(file, { waitMs: 100 });
    const writer = await store.open('r', owner);
    await writer.save('{}', 1);
    const number = Number(/lease-(\d+)$/.exec(readdirSync(folder).find((name) => name.includes('lease')) ?? '')?.[1]);
    writeFileSync(`${file}.lease-${number + 1}`, JSON.stringify({ ...mine(), host: 'elsewhere' }));
    const before = readFileSync(`${file}-wal`);
    expect(await codeOf(writer.append(['x'], 2))).toBe('checkpoint/locked');
    expect(readFileSync(`${file}-wal`).equals(before)).toBe(true);
  });
});

describe('a disk that fails', () => {
  test('refuses the write and those behind it; what was acknowledged stays, and the store goes on', async () => {
    const store = sqliteStore(file);
    const writer = await store.open('r', owner);
    await writer.save('{}', 1);
    await writer.append(['kept'], 2);
    vi.spyOn(engineFiles, 'writeSync').mockImplementation(() => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    });
    const results = await Promise.allSettled([writer.append(['a'], 3), writer.append(['b'], 4)]);
    expect(results.map((result) => (result as PromiseRejectedResult).reason.code)).toEqual(['checkpoint/storage', 'checkpoint/storage']);
    vi.restoreAllMocks();
    expect((await store.load('r'))?.journal).toEqual(['kept']);
    await writer.append(['c'], 3);
    expect((await store.load('r'))?.journal).toEqual(['kept', 'c']);
  });

  test('a commit that could not be synced is not acknowledged', async () => {
    const store = sqliteStore(file);
    const writer = await store.open('r', owner);
    await writer.save('{}', 1);
    vi.spyOn(engineFiles, 'fsyncSync').mockImplementationOnce(() => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    });
    expect(await codeOf(writer.append(['a'], 2))).toBe('checkpoint/storage');
  });

  test('the folder cannot be written to', async () => {
    writeFileSync(join(folder, 'no-folder'), '');
    expect(await codeOf(sqliteStore(join(folder, 'no-folder', 'runs.db')).open('r', owner))).toBe('checkpoint/not-a-file');
  });
});

describe('what is no store', () => {
  const refused = async (write: (path: string) => void, code: string, words: RegExp): Promise<void> => {
    write(file);
    const before = readdirSync(folder);
    for (const use of [() => sqliteStore(file).list(), () => sqliteStore(file).open('r', owner)]) {
      const error = await use().catch((thrown: unknown) => thrown) as CheckpointError;
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.code).toBe(code);
      expect(error.message).toMatch(words);
      expect(error.message).toContain(file);
    }
    expect(readdirSync(folder)).toEqual(before);
  };
  const { Database } = createRequire(import.meta.url)('node-sqlite3-wasm') as { Database: new (path: string) => { exec(sql: string): void; close(): void } };

  test('a text', () => refused((path) => writeFileSync(path, 'hello '.repeat(50)), 'checkpoint/foreign', /no SQLite database/));
  test('an empty file', () => refused((path) => writeFileSync(path, ''), 'checkpoint/foreign', /empty/));
  test('a folder', () => refused((path) => mkdirSync(path), 'checkpoint/not-a-file', /folder/));
  test('the database of another program', () =>
    refused((path) => {
      const database = new Database(path);
      database.exec('CREATE TABLE t (a)');
      database.close();
    }, 'checkpoint/foreign', /another program/));
  test('a newer version', async () => {
    await (await sqliteStore(file).open('r', owner)).close();
    await settled(file);
    await refused((path) => {
      const bytes = readFileSync(path);
      bytes.writeUInt32BE(2, 60);
      writeFileSync(path, bytes);
    }, 'checkpoint/version', /version 2/);
  });
  test('beside another program\'s rollback journal', async () => {
    await (await sqliteStore(file).open('r', owner)).close();
    await settled(file);
    await refused((path) => writeFileSync(`${path}-journal`, 'x'), 'checkpoint/damaged', /rollback journal/);
  });
});

/** Waits until this process has given the file up. */
async function settled(path: string): Promise<void> {
  await expect.poll(() => existsSync(`${path}-wal`), { timeout: 5000 }).toBe(false);
}

describe('damage', () => {
  const entries = Array.from({ length: 6 }, (_, at) => JSON.stringify({ entry: at, text: 'x'.repeat(30) }));
  const checkpoint = JSON.stringify({ format: 'taskchart/checkpoint', workflow: 'w', text: 'y'.repeat(3000) });

  /** Every file as it stands, to be changed and read as if after a crash. */
  async function changed(names: Readonly<Record<string, Buffer>>): Promise<unknown> {
    const place = mkdtempSync(join(folder, 'copy-'));
    const path = join(place, 'runs.db');
    for (const [suffix, bytes] of Object.entries(names)) writeFileSync(path + suffix, bytes);
    try {
      return await sqliteStore(path).load('r');
    } catch (error) {
      expect(error, String(error)).toBeInstanceOf(CheckpointError);
      return (error as CheckpointError).code;
    }
  }

  test('of the log: wherever it is cut or a bit is flipped, what is left is a state that once was', async () => {
    const writer = await sqliteStore(file).open('r', owner);
    await writer.save(checkpoint, 1);
    for (const [at, entry] of entries.entries()) await writer.append([entry], 2 + at);
    const names = { '': readFileSync(file), '-wal': readFileSync(`${file}-wal`) };
    const states = [undefined, ...entries.map((_, at) => ({ checkpoint, revision: 1, journal: entries.slice(0, at) })), { checkpoint, revision: 1, journal: entries }];
    expect(await changed(names)).toEqual(states.at(-1));
    const seen = new Set<number>();
    const length = names['-wal'].length;
    for (let at = 0; at < length; at += Math.ceil(length / 60)) {
      const flipped = Buffer.from(names['-wal']);
      flipped[at] = (flipped[at] as number) ^ (1 << at % 8);
      for (const wal of [names['-wal'].subarray(0, at), flipped]) {
        const state = await changed({ ...names, '-wal': wal });
        expect(states).toContainEqual(state);
        seen.add(states.findIndex((one) => JSON.stringify(one) === JSON.stringify(state)));
      }
    }
    expect(seen.size).toBeGreaterThan(3);
  }, 60_000);

  test('of the file: wherever a bit is flipped or it is cut, the state is right or refused', async () => {
    const writer = await sqliteStore(file).open('r', owner);
    await writer.save(checkpoint, 1);
    await writer.append(entries, 7);
    await writer.save(checkpoint, 8);
    await writer.append(entries.slice(0, 2), 10);
    await settled(file);
    const bytes = readFileSync(file);
    const right = { checkpoint, revision: 8, journal: entries.slice(0, 2) };
    expect(await changed({ '': bytes })).toEqual(right);
    const codes = new Map<unknown, number>();
    for (let at = 3; at < bytes.length; at += Math.ceil(bytes.length / 200)) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << at % 8);
      for (const damaged of at % 5 === 0 ? [flipped, bytes.subarray(0, at)] : [flipped]) {
        const state = await changed({ '': damaged });
        if (typeof state === 'string') codes.set(state, (codes.get(state) ?? 0) + 1);
        else expect(state, `byte ${at}`).toEqual(right);
      }
    }
    expect([...codes.keys()]).toContain('checkpoint/damaged');
  }, 60_000);

  test('of the newest snapshot: the error names the revision that can be used', async () => {
    const store = sqliteStore(file);
    const writer = await store.open('r', owner);
    await writer.save(checkpoint, 1);
    await writer.save(checkpoint.replace('yyy', 'zzz'), 5);
    await settled(file);
    const bytes = readFileSync(file);
    bytes[bytes.indexOf('zzz')] = 0x21;
    writeFileSync(file, bytes);
    const copy = join(folder, 'before');
    copyFileSync(file, copy);
    const error = await store.open('r', owner).catch((thrown: unknown) => thrown) as CheckpointError;
    expect(error.code).toBe('checkpoint/damaged');
    expect(error.message).toMatch(/snapshot of revision 5 .* revision 1 can still be loaded/);
    expect(error.details).toMatchObject({ runId: 'r', usable: 1 });
    expect(await store.load('r', 1)).toEqual({ checkpoint, revision: 1, journal: [] });
    await settled(file);
    expect(readFileSync(file).equals(readFileSync(copy))).toBe(true);
  });
});

test('without its package the store says how to install it', async () => {
  vi.resetModules();
  vi.doMock('node-sqlite3-wasm', () => {
    throw Object.assign(new Error("Cannot find package 'node-sqlite3-wasm'"), { code: 'ERR_MODULE_NOT_FOUND' });
  });
  const copy = await import('../../src/adapters/sqlite/store.ts');
  const error = await copy.sqliteStore(file).open('r', owner).catch((thrown: unknown) => thrown) as DefinitionError;
  vi.doUnmock('node-sqlite3-wasm');
  expect(error.name).toBe('DefinitionError');
  expect(error.hint).toContain('npm install node-sqlite3-wasm');
  expect(readdirSync(folder)).toEqual([]);
});
