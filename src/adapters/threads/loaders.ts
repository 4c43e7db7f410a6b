/**
 * How a thread gets to load our worker file and the user's module, compiled or as TypeScript sources.
 *
 * A thread does not reliably inherit the loader that lets its parent import TypeScript (Node 20 hands the flag down, but
 * the hooks stay behind), so the thread registers tsx by itself before it imports anything.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { DefinitionError } from '../../core/errors.ts';
import { preview } from '../../core/preview.ts';

/** The module as a file: URL. A query, as test runners add it, would make a second copy of the module in the thread. */
export function moduleUrl(given: string): string {
  const url = isAbsolute(given) ? pathToFileURL(given) : URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol !== 'file:') {
    throw new DefinitionError('definition/backend-unavailable', `The backend "threads" cannot load the module ${preview(given)}: it is neither a file: URL nor an absolute path.`, {
      hint: 'Pass { module: import.meta.url } in the file that defines the workflow.',
    });
  }
  url.search = '';
  url.hash = '';
  return url.href;
}

/** What the pool gives to its threads as their entry: the worker file, or a text that makes it importable first. */
export function threadEntry(module: string): string {
  const worker = workerUrl();
  const needed = [module, worker].some(isTypeScript) || runsUnderTsx();
  const tsx = needed ? findTsx(module) : undefined;
  if (tsx !== undefined) return `data:text/javascript,${encodeURIComponent(bootText(tsx, worker))}`;
  if (!needed || readsTypeScript()) return fileURLToPath(worker);
  throw new DefinitionError('definition/backend-unavailable', `A worker thread cannot load the TypeScript module ${preview(module)}: tsx is not installed.`, {
    hint: 'Install it (npm install --save-dev tsx), or name the compiled module.',
    details: { module },
  });
}

function workerUrl(): string {
  return entryUrl('The worker file of the backend "threads"', './worker.ts', './threads-worker.js').href;
}

/** The entry of another thread of ours, as a source beside this file or as it was built: importable as it is, or by a text that makes it so. */
export function ownThread(what: string, source: string, built: string): URL {
  const url = entryUrl(what, source, built);
  const tsx = isTypeScript(url.href) ? findTsx(url.href) : undefined;
  if (tsx === undefined) return url;
  return new URL(`data:text/javascript,${encodeURIComponent(`for (const url of ${JSON.stringify(tsx)}) (await import(url)).register();\nawait import(${JSON.stringify(url.href)});`)}`);
}

function entryUrl(what: string, source: string, built: string): URL {
  const name = isTypeScript(import.meta.url) ? source : built;
  const url = new URL(name, import.meta.url);
  if (existsSync(url)) return url;
  throw new DefinitionError('definition/backend-unavailable', `${what} is not where it should be: ${preview(url.pathname)}.`, {
    hint: `When bundling, leave the package "taskchart" out of the bundle (external), so that its ${built.slice(2)} is found.`,
  });
}

function isTypeScript(url: string): boolean {
  return /\.[cm]?tsx?$/.test(url);
}

function readsTypeScript(): boolean {
  return Boolean((process.features as { readonly typescript?: unknown }).typescript);
}

function runsUnderTsx(): boolean {
  return process.execArgv.some((part) => /[\\/]tsx[\\/]|^tsx$|=tsx$/.test(part));
}

/** Its register modules, looked for beside the user's module, where this process got it from, and beside this package. */
function findTsx(module: string): readonly string[] | undefined {
  const running = process.execArgv.filter((part) => /[\\/]tsx[\\/]/.test(part)).map((part) => part.replace(/^--\w+=/, ''));
  for (const from of [module, ...running, import.meta.url]) {
    try {
      const manifest = pathToFileURL(createRequire(from).resolve('tsx/package.json'));
      const { exports } = JSON.parse(readFileSync(manifest, 'utf8')) as TsxManifest;
      return [exports['./esm/api'], exports['./cjs/api']].map((entry) => new URL(entry.import.default, manifest).href);
    } catch {
      // Not here: the next place.
    }
  }
  return undefined;
}

/** Resolving the names themselves would give what `require` gets, which does not work when it is imported. */
type TsxManifest = { readonly exports: Readonly<Record<'./esm/api' | './cjs/api', { readonly import: { readonly default: string } }>> };

/** A failure here is told to whoever waits; thrown, it would only end the thread. */
function bootText(loaders: readonly string[], worker: string): string {
  return `
    let handler;
    try {
      for (const url of ${JSON.stringify(loaders)}) (await import(url)).register();
      handler = (await import(${JSON.stringify(worker)})).default;
    } catch (error) {
      handler = ({ port }) => port.postMessage({ kind: 'refused', error: {
        name: 'DefinitionError', code: 'definition/backend-unavailable', message: 'A worker thread could not be set up: ' + String(error?.message ?? error).slice(0, 1000),
      } });
    }
    export default handler;`;
}
