/** A folder outside the repository in which the packed tarball is installed and used as a stranger would. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = resolve(fileURLToPath(import.meta.url), '../../..');

export interface Finished { code: number; stdout: string; stderr: string }

/** npm hands its settings down to its scripts; the npm and the programs that are tried here must not see them. */
function strangersEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_(package|lifecycle|command|config_local_prefix|config_prefix)|NODE_OPTIONS|VITEST|NODE_ENV$)/i.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: '1' };
}

/** Runs a program and answers what it printed; a failure is an answer too. */
export function run(program: string, args: readonly string[], cwd: string): Promise<Finished> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { cwd, env: strangersEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
    const printed = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => { printed.stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { printed.stderr += text; });
    child.on('error', fail);
    child.on('close', (code) => done({ code: code ?? -1, ...printed }));
  });
}

/** As `run`, but a failure throws with everything that was printed. */
export async function succeed(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, cwd);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

export const node = (args: readonly string[], cwd: string) => run(process.execPath, args, cwd);

/** A development tool of the repository, by the path of its program under node_modules. */
export const tool = (path: string, args: readonly string[], cwd: string) =>
  run(process.execPath, [join(repository, 'node_modules', path), ...args], cwd);

export interface Packed { filename: string; unpackedSize: number; files: { path: string; size: number }[] }

export interface Workbench {
  readonly folder: string;
  readonly tarball: string;
  readonly packed: Packed;
  /** The folder in which the tarball is installed. */
  readonly app: string;
  write(file: string, text: string): string;
  remove(): void;
}

/** Packs the built repository and installs the tarball into an empty folder. */
export async function setUp(): Promise<Workbench> {
  if (!existsSync(join(repository, 'dist/index.js'))) throw new Error('There is no dist/: run `npm run build` first.');
  const folder = mkdtempSync(join(tmpdir(), 'taskchart-package-'));
  const printed = await succeed('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], repository);
  const answer = JSON.parse(printed) as Packed[] | Record<string, Packed>;
  const packed = Object.values(answer)[0]!;
  const tarball = join(folder, packed.filename);
  const app = join(folder, 'app');
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }\n');
  await succeed('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], app);
  return {
    folder, tarball, packed, app,
    write(file, text) {
      mkdirSync(dirname(join(app, file)), { recursive: true });
      writeFileSync(join(app, file), text);
      return join(app, file);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What an installation brought: names of packages, and the sum of the sizes of their files. */
export function installed(app: string): { packages: string[]; bytes: number } {
  const entries = readdirSync(join(app, 'node_modules'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const inPackage = /node_modules\/((?:@[^/]+\/)?[^/@.][^/]*)\/package\.json$/;
  const packages: string[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    bytes += statSync(path).size;
    const name = inPackage.exec(path)?.[1];
    if (name !== undefined) packages.push(name);
  }
  return { packages: packages.sort(), bytes };
}

/** The README's first program and the output block that follows it. */
export function readmeProgram(): { program: string; output: string } {
  const readme = readFileSync(join(repository, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/^```(\w*)[^\n]*\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({ language, text }));
  const at = blocks.findIndex((block) => block.language === 'ts');
  const output = blocks[at + 1];
  if (at < 0 || output === undefined) throw new Error('The README has no ```ts block with an output block after it.');
  return { program: blocks[at]!.text, output: output.text };
}
