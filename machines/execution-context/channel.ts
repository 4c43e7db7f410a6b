/** The run's small shared store: tasks send operations, and the machine applies them one after the other. */
import { preview, type Json } from '../../src/core/json.ts';
import type { Draft } from './draft.ts';
import type { ChannelOperation } from './channel-operation.ts';

/** Applies all of them, or none; then the text says which one does not fit what the key holds. */
export function applyOperations(draft: Draft, operations: readonly ChannelOperation[]): string | undefined {
  const next: Record<string, Json> = { ...draft.channel };
  const fresh = new Set<string>();
  for (const operation of operations) {
    const { key } = operation;
    const held = Object.hasOwn(next, key) ? next[key] : undefined;
    switch (operation.op) {
      case 'set':
        next[key] = operation.value;
        fresh.delete(key);
        break;
      case 'delete':
        delete next[key];
        fresh.delete(key);
        break;
      case 'add':
        if (held !== undefined && typeof held !== 'number') return misfit('add', key, 'a number', held);
        next[key] = (held ?? 0) + operation.value;
        if (!Number.isFinite(next[key])) return `ctx.channel.add("${key}") goes beyond the numbers that there are`;
        break;
      case 'append': {
        if (held !== undefined && !Array.isArray(held)) return misfit('append', key, 'a list', held);
        const list: Json[] = fresh.has(key) ? (held as Json[]) : [...(held ?? [])];
        list.push(operation.value);
        fresh.add(key);
        next[key] = list;
        break;
      }
    }
  }
  draft.channel = next;
  for (const operation of operations) draft.operations?.set(draft.operations.size, operation);
  return undefined;
}

function misfit(op: string, key: string, wanted: string, held: Json): string {
  return `ctx.channel.${op}("${key}") needs ${wanted} there, but the channel holds ${preview(held)}`;
}
