/** What a bundler makes for browsers of our sources, and what of it has no business in a page. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, type BuildOptions, type Metafile } from 'esbuild';

export const repository = resolve(fileURLToPath(import.meta.url), '../../../..');

export interface Bundle {
  readonly code: string;
  /** Compressed, as a server would send it. */
  readonly bytes: number;
  readonly metafile: Metafile;
  /** What went in, by paths from the repository. */
  readonly files: readonly string[];
}

export async function bundle(options: BuildOptions): Promise<Bundle> {
  const { outputFiles, metafile } = await build({ bundle: true, platform: 'browser', format: 'esm', minify: true, metafile: true, logLevel: 'silent', absWorkingDir: repository, ...options, write: false });
  if (metafile === undefined) throw new Error('esbuild gave no metafile');
  const code = outputFiles[0]?.text ?? '';
  return { code, bytes: gzipSync(code, { level: 9 }).length, metafile, files: Object.keys(metafile.inputs) };
}

/** Node's modules, packages for Node, and what of ours is for files, threads and Redis: whatever of that is imported or taken in. */
export function outOfPlace({ inputs, outputs }: Metafile): string[] {
  const left = Object.values(outputs).flatMap(({ imports }) => imports.filter(({ external }) => external).map(({ path }) => path));
  const named = Object.values(inputs).flatMap(({ imports }) => imports.map(({ original, path }) => original ?? path));
  const taken = Object.values(outputs).flatMap((output) => Object.entries(output.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([file]) => file));
  return [
    ...left,
    ...named.filter((name) => /^(node:|(fs|os|path|url|crypto|worker_threads|child_process|module|http|net|tls)$|ioredis|tinypool|commander|node-sqlite3)/.test(name)),
    ...taken.filter((file) => /node_modules\/(ioredis|tinypool|commander|node-sqlite3-wasm)\/|src\/(cli|adapters\/(?!system\.ts)|runtime\/(remote|worker)|inspect\/relay\/)|machines\/(coordinator|worker)/.test(file)),
  ];
}
