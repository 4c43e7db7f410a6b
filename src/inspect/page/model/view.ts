/** What is looked at, and its place in the address, so that a reload shows the same. */
import type { NodeId } from '../../../core/graph.ts';

export const tabs = ['graph', 'statechart', 'messages', 'queue', 'log'] as const;
export type Tab = (typeof tabs)[number];

export interface View {
  readonly tab: Tab;
  /** The session of a run. */
  readonly run?: string | undefined;
  /** The system of that run, or one that has none. */
  readonly root?: string | undefined;
  readonly node?: NodeId | undefined;
  /** One of the groups of that node; absent: the newest. */
  readonly group?: number | undefined;
  readonly member?: number | undefined;
  readonly actor?: string | undefined;
}

export function viewOfHash(hash: string): View {
  const query = new URLSearchParams(hash.replace(/^#/, ''));
  const tab = tabs.find((each) => each === query.get('tab')) ?? 'graph';
  const text = (name: string): string | undefined => query.get(name) ?? undefined;
  const place = (name: string): number | undefined => {
    const value = Number(query.get(name) ?? NaN);
    return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  };
  return { tab, run: text('run'), root: text('root'), node: text('node'), group: place('group'), member: place('member'), actor: text('actor') };
}

export function hashOfView(view: View): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(view)) if (value !== undefined) query.set(name, String(value));
  return `#${query.toString()}`;
}
