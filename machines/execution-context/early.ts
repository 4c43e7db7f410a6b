/** Signals that came before anyone waited for them. */
import type { Boxed } from './cells.ts';
import type { Draft } from './draft.ts';

/** The oldest signal of that name that came before anyone waited for it. */
export function takeEarly(draft: Draft, name: string): Boxed | undefined {
  const early = draft.signals[name];
  if (early === undefined) return undefined;
  const { [name]: _, ...others } = draft.signals;
  draft.signals = early.length === 1 ? others : { ...others, [name]: early.slice(1) };
  return early[0];
}
