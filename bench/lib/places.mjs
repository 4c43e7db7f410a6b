/** Where things are. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const benchDir = dirname(dirname(fileURLToPath(import.meta.url)));
export const rootDir = dirname(benchDir);
export const distDir = join(rootDir, 'dist');
export const workDir = join(benchDir, '.work');
export const resultsDir = (quick) => (quick ? join(benchDir, 'results', 'quick') : join(benchDir, 'results'));

const fromBench = createRequire(join(benchDir, 'run.mjs'));

/** The folder of an installed package as the bench sees it: its own packages first, then those of the checkout. */
export function packageDir(name) {
  for (const base of fromBench.resolve.paths(name)) {
    try {
      readFileSync(join(base, name, 'package.json'));
      return join(base, name);
    } catch {
      // Not in this folder: the next one up.
    }
  }
  throw new Error(`Package ${name} is not installed.`);
}

export const versionOf = (name) => JSON.parse(readFileSync(join(packageDir(name), 'package.json'), 'utf8')).version;
export const ownVersion = () => JSON.parse(readFileSync(join(rootDir, 'package.json'), 'utf8')).version;
