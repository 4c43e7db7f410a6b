/**
 * `taskchart worker` in processes of their own: to be killed, stopped, continued and drained.
 *
 * Owns: starting them, what they say, how they end. Does not own: the modules that they load.
 *
 * Invariants
 * 1. A process ends with the one that started it, however that ends, and stopped or not: a guard hangs on a pipe.
 * 2. Waiting for a line ends with the process: nobody waits for what can no longer be said.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');
const tsx = ['--import', pathToFileURL(resolve(repository, 'node_modules/tsx/dist/loader.mjs')).href];
const command = [...tsx, resolve(repository, 'src/cli/main.ts')];

/** A line of the log. */
export interface Said {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of this repository's sources, with what it writes. */
export class OwnProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  over: Ended | undefined;
  readonly #looking = new Set<() => void>();

  constructor(args: readonly string[], variables: NodeJS.ProcessEnv = {}) {
    const child = spawn(process.execPath, [...args], { cwd: repository, env: { ...environment(), ...variables }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child = child;
    const guard = spawn('sh', ['-c', 'cat >/dev/null; kill -9 "$0"', String(child.pid)], { stdio: ['pipe', 'ignore', 'ignore'] });
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#heard((this.stdout += text)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#heard((this.stderr += text)));
    child.stdin.on('error', () => undefined);
    this.ended = new Promise((done, fail) => {
      child.on('error', fail);
      child.on('close', (code, signal) => {
        guard.kill('SIGKILL');
        this.over = { code, signal, stdout: this.stdout, stderr: this.stderr };
        done(this.over);
        this.#heard('');
      });
    });
  }

  static script(path: string, args: readonly string[] = [], variables: NodeJS.ProcessEnv = {}): OwnProcess {
    return new OwnProcess([...tsx, path, ...args], variables);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Resolves with what `find` finds in what it has written, as soon as there is something. */
  until<T>(what: string, find: () => T | undefined): Promise<T> {
    return new Promise((done, fail) => {
      const look = (): void => {
        const found = find();
        if (found === undefined && this.over === undefined) return;
        this.#looking.delete(look);
        if (found !== undefined) done(found);
        else fail(new Error(`the process ended before ${what}: ${JSON.stringify(this.over)}`));
      };
      this.#looking.add(look);
      look();
    });
  }

  #heard(_text: string): void {
    for (const look of this.#looking) look();
  }
}

export class WorkerProcess extends OwnProcess {
  constructor(modules: readonly string[], flags: Readonly<Record<string, string | number>>, variables: NodeJS.ProcessEnv = {}) {
    super([...command, 'worker', ...modules, ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])], variables);
  }

  get log(): readonly Said[] {
    return this.stderr.split('\n').slice(0, -1).filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Said);
  }

  says(words: RegExp, from = 0): Promise<Said> {
    return this.until(`it said ${String(words)}`, () => this.log.slice(from).find(({ message }) => words.test(message)));
  }

  registered(): Promise<Said> {
    return this.says(/^the worker is registered$/);
  }

  /** Freezes it; resolves when it stands still. */
  async freeze(): Promise<void> {
    this.child.kill('SIGSTOP');
    await eventually('the process is stopped', async () => {
      const shown = spawn('ps', ['-o', 'stat=', '-p', String(this.pid)], { stdio: ['ignore', 'pipe', 'ignore'] });
      let state = '';
      shown.stdout.setEncoding('utf8').on('data', (text: string) => (state += text));
      await once(shown, 'close');
      return state.startsWith('T');
    });
  }
}

/** Looks until it is so; fails, with what it last saw, when it takes far too long. */
export async function eventually<T>(what: string, look: () => T | Promise<T>, withinMs = 60_000): Promise<NonNullable<T>> {
  const until = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (Date.now() > until) throw new Error(`it never came to this: ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

function environment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, NO_COLOR: __, FORCE_COLOR: ___, VITEST: ____, ...rest } = process.env;
  for (const name of Object.keys(rest)) if ((name.startsWith('TASKCHART_') && name !== 'TASKCHART_TEST_PLACE') || name === 'REDIS_URL') delete rest[name];
  return { ...rest, NODE_NO_WARNINGS: '1' };
}
