/** What arrives in an empty folder: number of packages and bytes, from a real install of the packed tarball. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { npm } from '../lib/prepare.mjs';
import { distDir, rootDir, versionOf } from '../lib/places.mjs';
import { count, megabytes } from '../lib/stats.mjs';

export const id = 'install';
export const title = 'Install size';

export async function run({ tell }) {
  const base = mkdtempSync(join(tmpdir(), 'taskchart-bench-'));
  try {
    const pinned = (name) => `${name}@${versionOf(name)}`;
    const contenders = [
      { key: 'taskchart', label: 'taskchart', specs: () => [pack(base)] },
      { key: 'xstate', label: 'xstate', specs: () => [pinned('xstate')] },
      { key: 'p-queue', label: 'p-queue', specs: () => [pinned('p-queue')] },
      { key: 'langgraph', label: '@langchain/langgraph with @langchain/core', specs: () => [pinned('@langchain/langgraph'), pinned('@langchain/core')] },
    ];
    const data = contenders.map((contender) => {
      const outcome = tryInstall(join(base, contender.key), contender);
      tell(`  ${contender.label}: ${outcome.error ?? `${outcome.packages} packages, ${megabytes(outcome.bytes)}`}`);
      return outcome;
    });
    return resultOf(data);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

function resultOf(data) {
  const own = data[0];
  return {
    about: [
      'A real `npm install` into an empty folder: taskchart from `npm pack` of this checkout, the peers in the versions that this bench uses. Required peer dependencies come with it, optional ones do not.',
      'Bytes are the sum of the file sizes under `node_modules`; a file system rounds every file up to whole blocks. 1 MB is 1,000,000 bytes.',
    ],
    tables: [
      {
        columns: ['', 'packages', 'files', 'size', 'on disk'],
        rows: data.map((one) =>
          one.error ? [one.label, `failed: ${one.error}`, '', '', ''] : [one.label, count(one.packages), count(one.files), megabytes(one.bytes), megabytes(one.blocks)],
        ),
      },
    ],
    goals: own.error
      ? [{ what: 'taskchart', target: 'at most 10 packages and 5 MB', measured: own.error, met: undefined }]
      : [
          { what: 'packages of taskchart', target: 'at most 10', measured: count(own.packages), met: own.packages <= 10 },
          { what: 'size of taskchart', target: 'at most 5 MB', measured: megabytes(own.bytes), met: own.bytes <= 5e6 },
        ],
    data,
  };
}

function pack(dir) {
  if (!existsSync(join(distDir, 'index.js'))) throw new Error('there is no dist/ to pack');
  const [{ filename }] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', dir], { cwd: rootDir }));
  return join(dir, filename);
}

function tryInstall(dir, { key, label, specs }) {
  try {
    const list = specs();
    npm(['install', '--prefix', dir, '--omit=dev', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', ...list], { cwd: emptyProject(dir) });
    const lock = JSON.parse(readFileSync(join(dir, 'package-lock.json'), 'utf8'));
    const packages = Object.keys(lock.packages).filter((path) => path !== '').length;
    return { key, label, packages, ...sizeOf(join(dir, 'node_modules')) };
  } catch (error) {
    const said = String(error.stderr ?? '').split('\n').find((line) => /npm error/i.test(line));
    return { key, label, error: (said ?? error.message).trim().slice(0, 200) };
  }
}

/** Nothing that is installed elsewhere can be found from here. */
function emptyProject(dir) {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'package.json'), '{ "name": "empty", "private": true }\n');
  return dir;
}

function sizeOf(dir) {
  const total = { files: 0, bytes: 0, blocks: 0 };
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const stat = statSync(join(entry.parentPath, entry.name));
    total.files += 1;
    total.bytes += stat.size;
    total.blocks += stat.blocks * 512;
  }
  return total;
}
