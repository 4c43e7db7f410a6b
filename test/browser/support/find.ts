/** Where the browser for the tests comes from: CHROMIUM_PATH, an installed one, or Debian's package in the cache. */
import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { libraryFolders, unpackDebian } from './debian.ts';

export interface Chromium {
  readonly path: string;
  /** What it needs beside the environment that it inherits. */
  readonly env: Readonly<Record<string, string>>;
}

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const elsewhere = ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium'];
const cache = resolve(fileURLToPath(import.meta.url), '../../../../node_modules/.cache/chromium');
const fontsFile = 'etc/fonts-for-tests/fonts.conf';
const run = promisify(execFile);

export async function findChromium(): Promise<Chromium> {
  const given = process.env['CHROMIUM_PATH'];
  if (given !== undefined && given !== '') {
    if (isProgram(given)) return { path: given, env: {} };
    throw new Error(`CHROMIUM_PATH is ${given}, which is no program that can be run`);
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const candidates = [...names.flatMap((name) => folders.map((folder) => join(folder, name))), ...elsewhere];
  const path = candidates.find(isProgram);
  return path === undefined ? await fetched() : { path, env: {} };
}

async function fetched(): Promise<Chromium> {
  try {
    const root = join(cache, 'unpacked');
    await unpackDebian(['chromium', 'fonts-liberation'], root, finish);
    return unpacked(root);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.slice(0, 1000) : String(cause);
    throw new Error(`These tests need Chromium, and there is none: ${why}\nInstall it (Debian: apt-get install chromium), or name one: CHROMIUM_PATH=/path/to/chrome`, { cause });
  }
}

function unpacked(root: string): Chromium {
  return {
    path: join(root, 'usr/lib/chromium/chromium'),
    env: { LD_LIBRARY_PATH: libraryFolders(root).join(delimiter), FONTCONFIG_FILE: join(root, fontsFile) },
  };
}

/** The unpacked fonts are not where fontconfig looks, and the machine may have none of its own. Named here, so that pictures look alike everywhere. */
async function finish(root: string): Promise<void> {
  mkdirSync(dirname(join(root, fontsFile)), { recursive: true });
  writeFileSync(join(root, fontsFile), `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir>/usr/local/share/fonts</dir>
  <dir prefix="relative">../../usr/share/fonts</dir>
${[['sans-serif', 'Sans'], ['system-ui', 'Sans'], ['serif', 'Serif'], ['monospace', 'Mono']].map(([family, font]) => `  <alias binding="same"><family>${family}</family><prefer><family>Liberation ${font}</family></prefer></alias>`).join('\n')}
  <match target="pattern"><edit name="family" mode="append_last"><string>Liberation Sans</string></edit></match>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`);
  const { path, env } = unpacked(root);
  await run(path, ['--version'], { env: { ...process.env, ...env } });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
