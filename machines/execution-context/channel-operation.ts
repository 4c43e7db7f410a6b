/** What a task asks of the run's shared store; it travels in the task's settlement. */
import type { Json } from '../../src/core/json.ts';

export type ChannelOperation =
  | { readonly op: 'set'; readonly key: string; readonly value: Json }
  | { readonly op: 'add'; readonly key: string; readonly value: number }
  | { readonly op: 'append'; readonly key: string; readonly value: Json }
  | { readonly op: 'delete'; readonly key: string };
