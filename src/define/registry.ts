/**
 * Which tasks and workflows exist in this process, by id: restored runs and worker threads find their code here.
 *
 * Owns: the process-wide table. It hangs on a registered symbol of the global object, so two copies of the package share it.
 * Does not own: the steps. References are weak, so a step that nobody uses any more is forgotten.
 *
 * Invariants
 * 1. Registering costs amortised constant time: the table is swept when it has doubled since the last sweep.
 * 2. An answer is never a guess: two live steps under one id are `ambiguous`.
 */
import type { Definition } from './definition.ts';

/** What is kept of a step: enough to compile and to run it. */
export interface RegisteredTask {
  readonly kind: string;
  readonly id: string;
}
export interface RegisteredWorkflow {
  readonly kind: string;
  readonly id: string;
  readonly definition: Definition;
}

interface Table<T extends object> {
  readonly entries: Map<string, WeakRef<T>[]>;
  size: number;
  sweepAt: number;
}
interface Tables {
  readonly tasks: Table<RegisteredTask>;
  readonly workflows: Table<RegisteredWorkflow>;
}

const key = Symbol.for('taskchart.registry');
const firstSweep = 1024;

export function registerTask(step: RegisteredTask): void {
  add(tables().tasks, step);
}

export function registerWorkflow(step: RegisteredWorkflow): void {
  add(tables().workflows, step);
}

/** The one live task step with this id. */
export function findTask(id: string): RegisteredTask | 'ambiguous' | undefined {
  return find(tables().tasks, id);
}

/** The one live workflow with this id. */
export function findWorkflow(id: string): RegisteredWorkflow | 'ambiguous' | undefined {
  return find(tables().workflows, id);
}

/** The ids that are known, for error messages. */
export function knownIds(of: 'tasks' | 'workflows'): readonly string[] {
  return [...tables()[of].entries].filter(([, refs]) => refs.some((ref) => ref.deref() !== undefined)).map(([id]) => id);
}

function tables(): Tables {
  const holder = globalThis as { [key]?: Tables };
  return (holder[key] ??= { tasks: emptyTable(), workflows: emptyTable() });
}

function emptyTable<T extends object>(): Table<T> {
  return { entries: new Map(), size: 0, sweepAt: firstSweep };
}

function add<T extends { readonly id: string }>(table: Table<T>, step: T): void {
  const refs = table.entries.get(step.id);
  if (refs === undefined) table.entries.set(step.id, [new WeakRef(step)]);
  else refs.push(new WeakRef(step));
  table.size += 1;
  if (table.size >= table.sweepAt) sweep(table);
}

function find<T extends object>(table: Table<T>, id: string): T | 'ambiguous' | undefined {
  let found: T | undefined;
  for (const ref of table.entries.get(id) ?? []) {
    const step = ref.deref();
    if (step === undefined || step === found) continue;
    if (found !== undefined) return 'ambiguous';
    found = step;
  }
  return found;
}

function sweep<T extends object>(table: Table<T>): void {
  let size = 0;
  for (const [id, refs] of table.entries) {
    const live = refs.filter((ref) => ref.deref() !== undefined);
    if (live.length === 0) table.entries.delete(id);
    else table.entries.set(id, live);
    size += live.length;
  }
  table.size = size;
  table.sweepAt = Math.max(firstSweep, size * 2);
}
