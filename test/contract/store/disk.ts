/**
 * A disk in memory that can be stopped before any call, lose its power, or refuse a call.
 *
 * Owns: what the file store asks of a file system, and what survives. Two states are kept: what every process sees, and
 * what is durable: a file's bytes by its own sync, a name by the sync of its folder, and nothing else.
 */
import { dirname } from 'node:path';
import type { FileFacts, FileSystem, OpenFile } from '../../../src/adapters/file/file-system.ts';
import { seededRandom } from '../../../src/testing.ts';

interface FileNode {
  readonly kind: 'file';
  bytes: Buffer;
  synced: Buffer;
  modifiedAt: number;
}

interface FolderNode {
  readonly kind: 'folder';
  names: Map<string, Node>;
  synced: Map<string, Node>;
}

type Node = FileNode | FolderNode;

export type Loss = 'none' | 'all' | number;

export interface Plan {
  /** The world stops when this many calls were made; the last of them may be half done. */
  readonly stopAt?: number;
  /** Of a write that the world stops in, this share was written. */
  readonly share?: number;
  /** Calls that fail, by their number, and how. */
  readonly fails?: (call: number, name: string) => string | undefined;
}

export type Gate = () => Promise<void> | undefined;

const never = new Promise<never>(() => undefined);

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, '${path}'`), { code, path });
}

export class Disk {
  #root: FolderNode = folder();
  #plan: Plan = {};
  #calls = 0;
  #time = 1_700_000_000_000;
  #stop: () => void = () => undefined;
  stopped: Promise<void> = never;
  readonly log: string[] = [];

  get calls(): number {
    return this.#calls;
  }

  get hasStopped(): boolean {
    return this.#plan.stopAt !== undefined && this.#calls >= this.#plan.stopAt;
  }

  /** Counts calls anew, and does to them what the plan says. */
  plan(plan: Plan): void {
    this.#plan = plan;
    this.#calls = 0;
    this.log.length = 0;
    this.stopped = plan.stopAt === undefined ? never : new Promise((resolve) => (this.#stop = resolve));
  }

  /** What a machine finds that starts after this one died. `none`: only the processes died; `all`: nothing unsynced is left; a seed: some of it is. */
  survivor(loss: Loss): Disk {
    const disk = new Disk();
    const random = typeof loss === 'number' ? seededRandom(loss) : undefined;
    const survives = (): boolean => (random === undefined ? loss === 'none' : random.next() < 0.5);
    const nodes = new Map<Node, Node>();
    const copy = (node: Node): Node => {
      const known = nodes.get(node);
      if (known !== undefined) return known;
      const made: Node = node.kind === 'folder' ? folder() : copyFile(node, loss, random);
      nodes.set(node, made);
      if (node.kind === 'folder' && made.kind === 'folder') {
        for (const name of new Set([...node.names.keys(), ...node.synced.keys()])) {
          const child = survives() ? node.names.get(name) : node.synced.get(name);
          if (child !== undefined) made.names.set(name, copy(child));
        }
        made.synced = new Map(made.names);
      }
      return made;
    };
    disk.#root = copy(this.#root) as FolderNode;
    disk.#time = this.#time + 1000;
    return disk;
  }

  /** Puts a file there, as if by another program; durable at once. */
  put(path: string, bytes: Uint8Array): void {
    let node = this.#root;
    for (const part of dirname(path).split('/').filter((name) => name !== '')) {
      const next = node.names.get(part) ?? folder();
      if (next.kind !== 'folder') throw failure('ENOTDIR', path);
      node.names.set(part, next);
      node.synced.set(part, next);
      node = next;
    }
    const file: FileNode = { kind: 'file', bytes: Buffer.from(bytes), synced: Buffer.from(bytes), modifiedAt: this.#time };
    node.names.set(last(path), file);
    node.synced.set(last(path), file);
  }

  /** Every file's path and bytes. */
  files(): ReadonlyMap<string, Buffer> {
    const found = new Map<string, Buffer>();
    const walk = (node: FolderNode, path: string): void => {
      for (const [name, child] of node.names) {
        if (child.kind === 'file') found.set(`${path}/${name}`, child.bytes);
        else walk(child, `${path}/${name}`);
      }
    };
    walk(this.#root, '');
    return found;
  }

  /** With a gate, one process's view: each of its calls waits for the gate before it and after it. */
  fileSystem(gate?: Gate): FileSystem {
    if (gate !== undefined) return gated(this.fileSystem(), gate);
    return {
      facts: (path) => {
        if (!this.#begin('facts', path)) throw failure('ESTOPPED', path);
        return this.#facts(path);
      },
      names: (path) => {
        if (!this.#begin('names', path)) throw failure('ESTOPPED', path);
        return [...this.#folderAt(path).names.keys()];
      },
      list: (path) => this.#call('list', path, () => [...this.#folderAt(path).names].map(([name, { kind }]) => ({ name, kind }))),
      read: (path, limit) => this.#call('read', path, () => Buffer.from(this.#fileAt(path).bytes.subarray(0, limit))),
      create: (path) => this.#call('create', path, () => this.#create(path)),
      rename: (from, to) => this.#call('rename', to, () => {
        const node = this.#nodeAt(from);
        this.#parent(to).names.set(last(to), node);
        this.#parent(from).names.delete(last(from));
      }),
      link: (from, to) => this.#call('link', to, () => this.#add(to, this.#fileAt(from))),
      unlink: (path) => this.#call('unlink', path, () => {
        this.#fileAt(path);
        this.#parent(path).names.delete(last(path));
      }),
      makeFolders: (path) => this.#call('makeFolders', path, () => {
        const parts = path.split('/').slice(1);
        let first: string | undefined;
        for (let at = 1; at <= parts.length; at++) {
          const above = `/${parts.slice(0, at).join('/')}`;
          if (this.#find(above) !== undefined) continue;
          this.#add(above, folder());
          first ??= above;
        }
        return first;
      }),
      makeFolder: (path) => this.#call('makeFolder', path, () => this.#add(path, folder())),
      removeTree: (path) => this.#call('removeTree', path, () => void this.#parent(path).names.delete(last(path))),
      syncFolder: (path) => this.#call('syncFolder', path, () => {
        const node = this.#folderAt(path);
        node.synced = new Map(node.names);
      }),
    };
  }

  #create(path: string): OpenFile {
    const file: FileNode = { kind: 'file', bytes: Buffer.alloc(0), synced: Buffer.alloc(0), modifiedAt: (this.#time += 5) };
    this.#add(path, file);
    const append = (bytes: Uint8Array, share: number): void => {
      file.bytes = Buffer.concat([file.bytes, bytes.subarray(0, Math.floor(bytes.length * share))]);
      file.modifiedAt = this.#time += 5;
    };
    return {
      write: (bytes) => this.#call('write', path, () => append(bytes, 1), (share) => append(bytes, share)),
      sync: () => this.#call('sync', path, () => void (file.synced = file.bytes)),
      close: () => this.#call('close', path, () => undefined),
    };
  }

  async #call<T>(name: string, path: string, act: () => T, half: (share: number) => void = () => undefined): Promise<T> {
    // As from a thread pool: never in the turn of the call.
    await Promise.resolve();
    if (this.hasStopped) return never;
    let begun: boolean;
    try {
      begun = this.#begin(name, path);
    } catch (error) {
      half(0.5);
      throw error;
    }
    if (!begun) {
      half(this.#plan.share ?? 0);
      return never;
    }
    return act();
  }

  /** False for the call that the world stops in. */
  #begin(name: string, path: string): boolean {
    if (this.hasStopped) return false;
    this.log.push(`${name} ${path}`);
    this.#calls += 1;
    if (this.hasStopped) {
      this.#stop();
      return false;
    }
    const code = this.#plan.fails?.(this.#calls, name);
    if (code !== undefined) throw failure(code, path);
    return true;
  }

  #facts(path: string): FileFacts | undefined {
    const node = this.#find(path);
    if (node === undefined) return undefined;
    return { kind: node.kind, bytes: node.kind === 'file' ? node.bytes.length : 0, modifiedAt: node.kind === 'file' ? node.modifiedAt : 0 };
  }

  #add(path: string, node: Node): void {
    const { names } = this.#parent(path);
    if (names.has(last(path))) throw failure('EEXIST', path);
    names.set(last(path), node);
  }

  #parent(path: string): FolderNode {
    return this.#folderAt(dirname(path));
  }

  #folderAt(path: string): FolderNode {
    const node = this.#nodeAt(path);
    if (node.kind === 'folder') return node;
    throw failure('ENOTDIR', path);
  }

  #fileAt(path: string): FileNode {
    const node = this.#nodeAt(path);
    if (node.kind === 'file') return node;
    throw failure('EISDIR', path);
  }

  #nodeAt(path: string): Node {
    const node = this.#find(path);
    if (node !== undefined) return node;
    throw failure('ENOENT', path);
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const part of path.split('/').slice(1)) {
      if (part === '') continue;
      node = node?.kind === 'folder' ? node.names.get(part) : undefined;
    }
    return node;
  }
}

function gated(fs: FileSystem, gate: Gate): FileSystem {
  const through = async <T>(act: () => Promise<T>): Promise<T> => {
    await gate();
    const result = await act();
    await gate();
    return result;
  };
  return {
    facts: (path) => fs.facts(path),
    names: (path) => fs.names(path),
    list: (path) => through(() => fs.list(path)),
    read: (path, limit) => through(() => fs.read(path, limit)),
    create: (path) => through(async () => {
      const file = await fs.create(path);
      return { write: (bytes) => through(() => file.write(bytes)), sync: () => through(() => file.sync()), close: () => through(() => file.close()) };
    }),
    rename: (from, to) => through(() => fs.rename(from, to)),
    link: (from, to) => through(() => fs.link(from, to)),
    unlink: (path) => through(() => fs.unlink(path)),
    makeFolders: (path) => through(() => fs.makeFolders(path)),
    makeFolder: (path) => through(() => fs.makeFolder(path)),
    removeTree: (path) => through(() => fs.removeTree(path)),
    syncFolder: (path) => through(() => fs.syncFolder(path)),
  };
}

function folder(): FolderNode {
  return { kind: 'folder', names: new Map(), synced: new Map() };
}

function last(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function copyFile(file: FileNode, loss: Loss, random: ReturnType<typeof seededRandom> | undefined): FileNode {
  let { bytes } = file;
  if (loss === 'all') bytes = file.synced;
  // Of what was not synced a beginning is left, and sometimes its length alone, as zeros.
  if (random !== undefined && file.bytes.length > file.synced.length) {
    const kept = file.synced.length + Math.floor(random.next() * (file.bytes.length - file.synced.length + 1));
    bytes = Buffer.from(file.bytes.subarray(0, kept));
    if (random.next() < 0.3) bytes = Buffer.concat([bytes, Buffer.alloc(Math.floor(random.next() * 40))]);
  }
  return { kind: 'file', bytes, synced: bytes, modifiedAt: file.modifiedAt };
}
