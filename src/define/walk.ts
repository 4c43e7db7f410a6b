/**
 * Walking linked steps, and saying where in a definition something stands.
 *
 * Owns: what is inside a piece, and paths for errors. Does not own: what is made of the pieces (compile.ts).
 *
 * Invariants
 * 1. No recursion: definitions may be millions of steps long and thousands deep.
 * 2. Paths are looked up only for an error, so compiling pays nothing for them.
 */
import type { ChainSpec, ListSpec, RecoverSpec, Spec } from './spec.ts';

const none: readonly Spec[] = Object.freeze([]);

/** The pieces directly inside a piece, in reading order. A chain is read as one list. */
export function childrenOf(spec: Spec): readonly Spec[] {
  switch (spec.kind) {
    case 'chain':
    case 'list':
      return parts(spec);
    case 'named':
    case 'each':
      return [spec.body];
    case 'recover':
      return [spec.body, spec.handler];
    case 'parallel':
    case 'dag':
      return spec.members.map((member) => member.step);
    case 'task':
    case 'wait':
    case 'sleep':
    case 'workflow':
      return none;
  }
}

/** The steps of a flow. A chain is linked from its end, so it is read backwards. */
export function parts(spec: ChainSpec | ListSpec): readonly Spec[] {
  if (spec.kind === 'list') return spec.steps;
  const found: Spec[] = [];
  let at: Spec = spec;
  while (at.kind === 'chain') {
    found.push(at.last);
    at = at.previous;
  }
  found.push(at);
  return found.reverse();
}

/** Whether what is to be recovered is several steps, so that only a scope of its own can fail as one. */
export function needsScope(spec: RecoverSpec): boolean {
  let body = spec.body;
  while (body.kind === 'named') body = body.body;
  return body.kind === 'chain' || body.kind === 'list';
}

interface Visit {
  readonly spec: Spec;
  readonly label: string;
  readonly parent: Visit | undefined;
}

/** Where the pieces that match stand, as paths such as `report > step 2 > member "sum"`. At most ten. */
export function findPaths(workflow: string, roots: readonly Spec[], matches: (spec: Spec) => boolean): readonly string[] {
  const found: string[] = [];
  const stack: Visit[] = roots.map((spec, index) => ({ spec, label: index === 0 ? workflow : `${workflow} > uses[${index - 1}]`, parent: undefined })).reverse();
  for (let visit = stack.pop(); visit !== undefined && found.length < 10; visit = stack.pop()) {
    if (matches(visit.spec)) found.push(pathOf(visit));
    const children = childrenOf(visit.spec);
    for (let i = children.length - 1; i >= 0; i--) stack.push({ spec: children[i] as Spec, label: labelOf(visit.spec, i), parent: visit });
  }
  return found;
}

function labelOf(parent: Spec, index: number): string {
  switch (parent.kind) {
    case 'chain':
    case 'list':
      return `step ${index + 1}`;
    case 'named':
      return parent.id;
    case 'each':
      return 'each';
    case 'recover':
      return index === 0 ? '' : 'recover';
    case 'parallel':
      return `member "${parent.members[index]?.id}"`;
    case 'dag':
      return `node "${parent.members[index]?.id}"`;
    default:
      return '';
  }
}

function pathOf(visit: Visit): string {
  const labels: string[] = [];
  for (let at: Visit | undefined = visit; at !== undefined; at = at.parent) if (at.label !== '') labels.push(at.label);
  return labels.length > 20 ? [...labels.slice(-10).reverse(), '…', ...labels.slice(0, 10).reverse()].join(' > ') : labels.reverse().join(' > ');
}
