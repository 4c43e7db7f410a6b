/**
 * Loading a user's module and finding the workflow in it.
 *
 * Owns: JavaScript and TypeScript modules, which export is meant. Does not own: running.
 *
 * Invariants
 * 1. A workflow is recognised by its brand, and only its own methods are called: the module may import another copy of
 *    the package.
 * 2. Whatever is wrong with the file is a UsageError of one line; it names the file.
 */
import { createRequire } from 'node:module';
import { extname, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Graph } from '../core/graph.ts';
import { nearestName } from '../core/options.ts';
import { cut } from '../core/preview.ts';
import type { Definition } from '../define/definition.ts';
import { specOf } from '../define/spec.ts';
import type { CheckpointStore } from '../ports.ts';
import type { Run } from '../runtime/run.ts';
import type { ResumeOptions, StartOptions } from '../runtime/workflow.ts';
import { failureLine } from './failure.ts';
import { UsageError } from './usage.ts';

/** The part of a workflow that the command line uses. */
export interface LoadedWorkflow {
  readonly id: string;
  readonly graph: Graph;
  describe(): string;
  mermaid(): string;
  start(input: unknown, options: StartOptions): Run<unknown>;
  resume(store: CheckpointStore, runId: string, options: ResumeOptions): Promise<Run<unknown>>;
  readonly definition: Definition;
}

const scripts = new Set(['.js', '.mjs', '.cjs']);
const typed = new Set(['.ts', '.mts', '.cts', '.tsx', '.jsx']);

/** The workflow that `file` exports. `wanted` is a workflow's id, or the name of the export. */
export async function loadWorkflow(file: string, wanted: string | undefined): Promise<LoadedWorkflow> {
  const module = await loadModule(file);
  return choose(workflowsOf(module), wanted, cut(file, 200), module);
}

/** What a module exports; what it defines is in the registry then. */
export async function loadModule(file: string): Promise<Readonly<Record<string, unknown>>> {
  const path = findModule(file);
  const shown = cut(file, 200);
  if (typed.has(extname(path))) await prepareTypeScript(path, shown);
  return importModule(path, shown);
}

function findModule(file: string): string {
  const shown = cut(file, 200);
  const path = existing(file);
  if (path === undefined) throw new UsageError(`there is no module ${shown}`);
  const extension = extname(path);
  if (!scripts.has(extension) && !typed.has(extension)) throw new UsageError(`${shown} is no JavaScript or TypeScript module (.js, .mjs, .cjs, .ts, .mts, .cts, .tsx)`);
  return path;
}

/** The full path of a file; also of `name` where there is a `name.js`. */
function existing(file: string): string | undefined {
  try {
    const path = file.startsWith('file:') ? fileURLToPath(file) : resolve(file);
    return createRequire(pathToFileURL(`${process.cwd()}${sep}`)).resolve(path);
  } catch {
    return undefined;
  }
}

async function importModule(path: string, shown: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (thrown) {
    throw new UsageError(`${shown} cannot be loaded: ${failureLine(thrown)}${placeOf(thrown, path)}`);
  }
}

/** Where in the user's file it was thrown, if the stack says so. */
function placeOf(thrown: unknown, path: string): string {
  const stack = thrown instanceof Error && typeof thrown.stack === 'string' ? thrown.stack : '';
  for (const name of [pathToFileURL(path).href, path]) {
    const at = stack.indexOf(`${name}:`);
    const [place] = at < 0 ? [] : (/^\d+(:\d+)?/.exec(stack.slice(at + name.length + 1)) ?? []);
    if (place !== undefined) return ` (${relative(process.cwd(), path)}:${place})`;
  }
  return '';
}

/** Makes TypeScript loadable: by tsx, of the user's project or of ours, or by Node itself. */
async function prepareTypeScript(path: string, shown: string): Promise<void> {
  const apis = tsxApis([path, import.meta.url]);
  if (apis !== undefined) {
    try {
      for (const api of apis) ((await import(api)) as { readonly register: () => unknown }).register();
    } catch (thrown) {
      throw new UsageError(`tsx cannot be loaded: ${failureLine(thrown)}`);
    }
    return;
  }
  const { features } = process as { readonly features: { readonly typescript?: unknown } };
  if (features.typescript !== undefined && features.typescript !== false) return;
  throw new UsageError(`${shown} is TypeScript, which needs tsx: npm install --save-dev tsx`);
}

interface TsxManifest {
  readonly exports: Readonly<Record<'./cjs/api' | './esm/api', { readonly import: { readonly default: string } }>>;
}

/** The modules of tsx's API: its manifest says where they are, since `require.resolve` would give the CommonJS ones. */
function tsxApis(from: readonly string[]): string[] | undefined {
  for (const place of from) {
    const find = createRequire(place);
    try {
      const manifest = find.resolve('tsx/package.json');
      const { exports } = find(manifest) as TsxManifest;
      return [exports['./cjs/api'], exports['./esm/api']].map((api) => new URL(api.import.default, pathToFileURL(manifest)).href);
    } catch {
      // Not installed there.
    }
  }
  return undefined;
}

interface Found {
  /** Names under which it is exported. */
  readonly names: string[];
  readonly workflow: LoadedWorkflow;
}

function workflowsOf(module: Readonly<Record<string, unknown>>): Found[] {
  const found = new Map<unknown, Found>();
  for (const [name, value] of exportsOf(module)) {
    if (!isWorkflow(value)) continue;
    const known = found.get(value);
    if (known === undefined) found.set(value, { names: [name], workflow: value });
    else known.names.push(name);
  }
  return [...found.values()];
}

/** Also what a CommonJS module exports, which arrives as the default export. */
function exportsOf(module: Readonly<Record<string, unknown>>): [string, unknown][] {
  const own = Object.entries(module);
  const { default: inner } = module;
  try {
    if (typeof inner !== 'object' || inner === null || kindOf(inner) !== undefined || Object.getPrototypeOf(inner) !== Object.prototype) return own;
    return [...own, ...Object.entries(inner)];
  } catch {
    return own;
  }
}

/** The kind of a step; undefined for everything else, however hostile. */
function kindOf(value: unknown): string | undefined {
  try {
    return specOf(value)?.kind;
  } catch {
    return undefined;
  }
}

/** A workflow under another id (`.as`) is a step of that kind too, but has nothing to start. */
function isWorkflow(value: unknown): value is LoadedWorkflow {
  if (kindOf(value) !== 'workflow') return false;
  const { start, describe, mermaid } = value as Partial<LoadedWorkflow>;
  return typeof start === 'function' && typeof describe === 'function' && typeof mermaid === 'function';
}

function choose(found: readonly Found[], wanted: string | undefined, shown: string, module: Readonly<Record<string, unknown>>): LoadedWorkflow {
  const ids = found.map(({ workflow }) => workflow.id);
  const listed = cut(ids.join(', '), 400);
  if (found.length === 0) throw new UsageError(`${shown} exports no workflow${hintFor(module)}`);
  if (wanted !== undefined) {
    const named = found.filter(({ workflow }) => workflow.id === wanted);
    const [one, ...others] = named.length > 0 ? named : found.filter(({ names }) => names.includes(wanted));
    if (one !== undefined && others.length === 0) return one.workflow;
    const nearest = nearestName(wanted, ids);
    if (one !== undefined) throw new UsageError(`${shown} exports several workflows with the id ${cut(wanted, 100)}: give --workflow the name of the export`);
    throw new UsageError(`${shown} exports no workflow ${cut(wanted, 100)}${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}; it exports ${listed}`);
  }
  const meant = found.find(({ names }) => names.includes('default')) ?? (found.length === 1 ? found[0] : undefined);
  if (meant === undefined) throw new UsageError(`${shown} exports several workflows: ${listed}; say which with --workflow <id>`);
  return meant.workflow;
}

function hintFor(module: Readonly<Record<string, unknown>>): string {
  const steps = exportsOf(module).filter(([, value]) => kindOf(value) !== undefined).map(([name]) => name);
  if (steps.length > 0) return `, only other steps (${cut(steps.join(', '), 200)}): make one with workflow(id, step)`;
  const names = Object.keys(module);
  return names.length === 0 ? ': it exports nothing' : `; it exports ${cut(names.join(', '), 200)}`;
}
