/**
 * The real command in a process of its own, modules for it to run, and a screen to read what it draws.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');
const command = ['--import', pathToFileURL(join(repository, 'node_modules/tsx/dist/loader.mjs')).href, join(repository, 'src/cli/main.ts')];

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  readonly finished: Promise<Finished>;
  /** What it has written so far. */
  readonly printed: { readonly stdout: string; readonly stderr: string };
  /** Resolves when stderr holds the text. */
  says(text: string): Promise<void>;
}

/** A folder for modules. In their text `taskchart` stands for the source of the package. */
export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'taskchart-cli-'));

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text.replaceAll("'taskchart'", `'${pathToFileURL(join(repository, 'src/index.ts')).href}'`));
    return path;
  }

  start(...args: string[]): Started {
    return this.#spawn(args, {});
  }

  startUnder(variables: NodeJS.ProcessEnv, ...args: string[]): Started {
    return this.#spawn(args, variables);
  }

  #spawn(args: readonly string[], variables: NodeJS.ProcessEnv): Started {
    const child = spawn(process.execPath, [...command, ...args], { cwd: this.folder, env: { ...environment(), ...variables } });
    const printed = { stdout: '', stderr: '' };
    const waiting = new Set<() => void>();
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      printed.stderr += text;
      for (const look of waiting) look();
    });
    const finished = new Promise<Finished>((done, fail) => {
      child.on('error', fail);
      child.on('close', (code, signal) => done({ code, signal, ...printed }));
    });
    const says = (text: string): Promise<void> =>
      new Promise((done, fail) => {
        const look = (): void => {
          if (!printed.stderr.includes(text)) return;
          waiting.delete(look);
          done();
        };
        waiting.add(look);
        look();
        void finished.then((end) => fail(new Error(`it ended without saying "${text}": ${JSON.stringify(end)}`)), fail);
      });
    return { child, finished, printed, says };
  }

  run(...args: string[]): Promise<Finished> {
    const { child, finished } = this.start(...args);
    child.stdin.end();
    return finished;
  }

  runUnder(variables: NodeJS.ProcessEnv, ...args: string[]): Promise<Finished> {
    const { child, finished } = this.#spawn(args, variables);
    child.stdin.end();
    return finished;
  }

  async runWith(stdin: string, ...args: string[]): Promise<Finished> {
    const { child, finished } = this.start(...args);
    child.stdin.end(stdin);
    return finished;
  }

  /** On a pseudo-terminal of `script`: what the terminal received. */
  onTerminal(rows: number, columns: number, ...args: string[]): Promise<{ code: number | null; received: string }> {
    const words = [process.execPath, ...command, ...args].map((word) => `'${word}'`).join(' ');
    const child = spawn(terminal ?? '', ['-qec', `stty rows ${rows} cols ${columns}; exec ${words}`, '/dev/null'], { cwd: this.folder, env: { ...environment(), TERM: 'xterm' } });
    let received = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (received += text));
    child.stdin.end();
    return new Promise((done, fail) => {
      child.on('error', fail);
      child.on('close', (code) => done({ code, received }));
    });
  }

  /** The lines of a file that tasks append to; none where there is no such file. */
  lines(name: string): string[] {
    const path = join(this.folder, name);
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter((line) => line !== '') : [];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** util-linux's program that runs another one on a terminal. */
const terminal = process.platform === 'linux' ? ['/usr/bin/script', '/bin/script'].find((path) => existsSync(path)) : undefined;
export const hasTerminal = terminal !== undefined;

function environment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, NO_COLOR: __, FORCE_COLOR: ___, VITEST: ____, ...rest } = process.env;
  for (const name of Object.keys(rest)) if (name.startsWith('TASKCHART_') || name === 'REDIS_URL') delete rest[name];
  return { ...rest, NODE_NO_WARNINGS: '1' };
}

/** As much of a terminal as the live tree uses. Everything else that it is sent is an error. */
export class Screen {
  readonly isTTY = true;
  readonly lines: string[] = [''];
  readonly rows: number;
  readonly columns: number;
  writes = 0;
  cursorShown = true;
  #at = 0;
  #column = 0;
  /** The frame that each write left behind. */
  readonly seen: string[] = [];

  constructor(rows = 24, columns = 80) {
    this.rows = rows;
    this.columns = columns;
  }

  write(text: string): void {
    this.writes += 1;
    // eslint-disable-next-line no-control-regex
    for (const [part] of text.matchAll(/\u001b\[[?\d;]*[A-Za-z]|[^\u001b]/gu)) this.#take(part);
    this.seen.push(this.text);
  }

  get text(): string {
    return this.lines.join('\n').trimEnd();
  }

  #take(part: string): void {
    if (part === '\n') {
      this.#at += 1;
      this.#column = 0;
      this.lines[this.#at] ??= '';
    } else if (part === '\r') this.#column = 0;
    else if (!part.startsWith('\u001b')) this.#type(part);
    else if (part.endsWith('m')) return;
    else if (part.endsWith('A')) {
      this.#at -= Number(part.slice(2, -1));
      if (this.#at < Math.max(0, this.lines.length - this.rows)) throw new Error('it moved above the top of the screen');
    } else if (part === '\u001b[K') this.lines[this.#at] = this.lines[this.#at]!.slice(0, this.#column);
    else if (part === '\u001b[0J') {
      this.lines.length = this.#at + 1;
      this.lines[this.#at] = this.lines[this.#at]!.slice(0, this.#column);
    } else if (part === '\u001b[?25l') this.cursorShown = false;
    else if (part === '\u001b[?25h') this.cursorShown = true;
    else throw new Error(`the screen does not know ${JSON.stringify(part)}`);
  }

  #type(character: string): void {
    const line = this.lines[this.#at]!;
    this.lines[this.#at] = line.slice(0, this.#column) + character + line.slice(this.#column + character.length);
    this.#column += character.length;
    if (this.#column > this.columns) throw new Error(`a line is wider than the screen: ${line}`);
  }
}
