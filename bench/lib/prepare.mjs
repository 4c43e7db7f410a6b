/** Makes sure that there is something to measure: the bench's own packages, and a fresh build of the checkout. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchDir, distDir, rootDir, versionOf } from './places.mjs';

/** npm hands its own settings down to scripts; a nested npm must not take this folder for its target. */
export function npmEnv() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^npm_(package_|lifecycle_|config_local_prefix|config_prefix|command$)/i.test(name)) delete env[name];
  }
  return env;
}

export function npm(args, options = {}) {
  return execFileSync('npm', args, { cwd: rootDir, env: npmEnv(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });
}

export function ensurePackages(tell) {
  if (!existsSync(join(rootDir, 'node_modules', 'xstate'))) {
    throw new Error('The checkout has no packages yet: run `npm ci` first.');
  }
  const wanted = JSON.parse(readFileSync(join(benchDir, 'package.json'), 'utf8')).dependencies;
  const locked = JSON.parse(readFileSync(join(benchDir, 'package-lock.json'), 'utf8')).packages;
  const missing = Object.keys(wanted).filter((name) => installedVersion(name) !== locked[`node_modules/${name}`]?.version);
  if (missing.length === 0) return;
  tell(`Installing the peers (${missing.join(', ')}) into bench/ …`);
  npm(['ci', '--prefix', benchDir, '--no-audit', '--no-fund'], { cwd: benchDir, stdio: ['ignore', 'inherit', 'inherit'] });
}

function installedVersion(name) {
  try {
    return versionOf(name);
  } catch {
    return undefined;
  }
}

export function ensureBuild(build, tell) {
  if (build) {
    tell('Building taskchart …');
    npm(['run', 'build'], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  if (!existsSync(join(distDir, 'index.js'))) {
    tell('There is no dist/index.js: everything of taskchart will be reported as failed.');
  }
}
