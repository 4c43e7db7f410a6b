/** A life of a run on a disk that may stop or fail anywhere, and what must be true of what is left. */
import { fileStoreOn } from '../../../src/adapters/file/store.ts';
import { isTaskchartError } from '../../../src/core/errors.ts';
import type { CheckpointStore, RunWriter, StoredRun } from '../../../src/ports.ts';
import { checkpointOf, entriesOf, owner } from '../../../src/testing/store-cases.ts';
import type { Disk } from './disk.ts';

export const store = (disk: Disk): CheckpointStore => fileStoreOn(disk.fileSystem(), '/data/runs');
export const runId = 'r';

/** What was asked for, and what of it was acknowledged. */
export class Witness {
  readonly tried = { revision: -1, saves: new Set<number>(), posts: [] as string[] };
  readonly acknowledged = { revision: -1, saves: [] as number[], posts: new Map<number, string>() };
  readonly refusals: unknown[] = [];

  copy(): Witness {
    const copy = new Witness();
    const { tried, acknowledged } = structuredClone({ tried: this.tried, acknowledged: this.acknowledged });
    Object.assign(copy.tried, tried);
    Object.assign(copy.acknowledged, acknowledged);
    return copy;
  }
}

type Retry = <T>(act: () => Promise<T>) => Promise<T>;

/** Tries again once what one fault has made fail. */
export const retrying = (witness: Witness): Retry => async (act) => {
  try {
    return await act();
  } catch (error) {
    witness.refusals.push(error);
    return act();
  }
};

export const once: Retry = (act) => act();

/** Opens, appends, saves, overtakes, posts. */
export async function live(disk: Disk, witness: Witness, retry: Retry): Promise<void> {
  const [one, two, three] = [store(disk), store(disk), store(disk)];
  const first = new Hand(witness, retry, await retry(() => one.open(runId, owner(1))));
  await first.save(0);
  await first.append(3);
  await Promise.all([first.append(4), first.append(6), first.append(7)]);
  await first.save(7);
  await first.append(9);
  const second = new Hand(witness, retry, await retry(() => two.open(runId, owner(2))));
  await first.lateWrite();
  await second.append(11);
  await second.save(12);
  await second.post('one');
  await second.append(13);
  await second.save(13);
  await second.append(14);
  await second.post('two');
  const third = new Hand(witness, retry, await retry(() => three.open(runId, owner(3))));
  await second.lateSave();
  await third.append(15);
  await third.append(16);
  await third.save(15);
  await third.append(17);
  await third.writer.close();
}

class Hand {
  readonly #witness: Witness;
  readonly #retry: Retry;
  readonly writer: RunWriter;
  #asked: number;

  constructor(witness: Witness, retry: Retry, writer: RunWriter) {
    this.#witness = witness;
    this.#retry = retry;
    this.writer = writer;
    this.#asked = writer.stored === undefined ? -1 : writer.stored.revision + writer.stored.journal.length;
  }

  async append(to: number): Promise<void> {
    const { tried, acknowledged } = this.#witness;
    const entries = entriesOf(this.#asked, to);
    this.#asked = tried.revision = to;
    await this.#retry(() => this.writer.append(entries, to));
    acknowledged.revision = Math.max(acknowledged.revision, to);
  }

  async save(revision: number): Promise<void> {
    const { tried, acknowledged } = this.#witness;
    tried.saves.add(revision);
    tried.revision = this.#asked = Math.max(tried.revision, revision);
    await this.#retry(() => this.writer.save(checkpointOf(runId, revision), revision));
    acknowledged.revision = Math.max(acknowledged.revision, revision);
    acknowledged.saves.push(revision);
  }

  async post(text: string): Promise<void> {
    this.#witness.tried.posts.push(text);
    const disk = this.#disk;
    const number = await this.#retry(() => disk.post(runId, text));
    this.#witness.acknowledged.posts.set(number, text);
  }

  /** Its text must never be seen: an overtaken writer writes it. */
  async lateWrite(): Promise<void> {
    await expectConflict(this.writer.append(['"late"'], this.#asked + 1));
  }

  async lateSave(): Promise<void> {
    await expectConflict(this.writer.save('"late"', this.#asked + 1));
  }

  get #disk(): CheckpointStore {
    return posting.get(this.#witness) as CheckpointStore;
  }
}

/** The store that messages are left in. */
export const posting = new WeakMap<Witness, CheckpointStore>();

async function expectConflict(write: Promise<void>): Promise<void> {
  const thrown: unknown = await write.then(() => new Error('a late write was acknowledged'), (error: unknown) => error);
  if (!isTaskchartError(thrown) || thrown.code !== 'checkpoint/conflict') throw thrown;
}

/** Throws where what a fresh store shows is no legal prefix of what was asked for. */
export async function checkLegal(disk: Disk, witness: Witness, where: string): Promise<StoredRun | undefined> {
  const { tried, acknowledged } = witness;
  const fresh = store(disk);
  const found = await fresh.load(runId);
  if (found === undefined) {
    if (acknowledged.revision >= 0) throw new Error(`${where}: nothing is left of revision ${acknowledged.revision}`);
    return undefined;
  }
  const reached = found.revision + found.journal.length;
  if (!tried.saves.has(found.revision) || found.checkpoint !== checkpointOf(runId, found.revision)) throw new Error(`${where}: an unknown snapshot ${found.revision}`);
  if (JSON.stringify(found.journal) !== JSON.stringify(entriesOf(found.revision, reached))) throw new Error(`${where}: the journal after ${found.revision} is ${JSON.stringify(found.journal)}`);
  if (reached < acknowledged.revision || reached > tried.revision) throw new Error(`${where}: reached ${reached} of ${acknowledged.revision} to ${tried.revision}`);
  for (const saved of acknowledged.saves.slice(-2)) {
    if ((await fresh.load(runId, saved))?.checkpoint !== checkpointOf(runId, saved)) throw new Error(`${where}: the snapshot ${saved} is gone`);
  }
  const posts = await fresh.posts(runId, 0);
  for (const [number, text] of acknowledged.posts) {
    if (posts[number - 1]?.text !== text) throw new Error(`${where}: message ${number} is gone`);
  }
  if (posts.some(({ text }) => !tried.posts.includes(text))) throw new Error(`${where}: an unknown message`);
  return found;
}

/** Opens what is left, goes on, and looks again. */
export async function goOn(disk: Disk, witness: Witness, where: string): Promise<void> {
  const found = await checkLegal(disk, witness, where);
  const writer = await store(disk).open(runId, owner(9));
  if (JSON.stringify(writer.stored) !== JSON.stringify(found)) throw new Error(`${where}: open shows something else than load`);
  // A save that was under way may have come to its end.
  const { acknowledged } = witness;
  if (found !== undefined && acknowledged.saves.at(-1) !== found.revision) acknowledged.saves.push(found.revision);
  const hand = new Hand(witness, once, writer);
  if (found === undefined) await hand.save(0);
  const from = found === undefined ? 0 : found.revision + found.journal.length;
  witness.tried.revision = Math.max(witness.tried.revision, from + 2);
  await hand.append(from + 1);
  await checkLegal(disk, witness, `${where}, gone on`);
  await hand.save(from + 1);
  await hand.append(from + 2);
  await checkLegal(disk, witness, `${where}, saved`);
  await writer.close();
  const left = [...disk.files().keys()].filter((path) => path.endsWith('.tmp') && !path.includes('/posts/'));
  if (left.length > 0) throw new Error(`${where}: ${left.join()} is left over`);
}
