/** Why someone cancels, as text: callers without types give anything, and a context holds plain JSON. */
import { preview } from '../core/json.ts';

export function reasonText(reason: unknown): string | undefined {
  if (reason === undefined || typeof reason === 'string') return reason;
  return reason instanceof Error ? String(reason.message) : preview(reason);
}
