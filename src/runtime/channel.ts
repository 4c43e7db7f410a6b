/** A task's view of the run's channel: the state at its start with its own writes on top. */
import { TaskError } from '../core/errors.ts';
import { copyJson, preview, toJson, type Json } from '../core/json.ts';
import type { ChannelOperation } from '../../machines/index.ts';
import type { Channel, ChannelKey } from '../define/context.ts';

type Key = string | { readonly name: string };

export class InvocationChannel implements Channel {
  readonly #base: Readonly<Record<string, Json>>;
  readonly #guard: () => unknown;
  readonly #own = new Map<string, Json | undefined>();
  readonly #operations: ChannelOperation[] = [];

  /** `guard` throws once the task has settled. */
  constructor(base: Readonly<Record<string, Json>>, guard: () => unknown) {
    this.#base = base;
    this.#guard = guard;
  }

  /** The writes, or undefined when there are none. */
  get operations(): readonly ChannelOperation[] | undefined {
    return this.#operations.length === 0 ? undefined : this.#operations;
  }

  get<T>(key: ChannelKey<T>): T | undefined;
  get(key: string): Json | undefined;
  get(key: Key): Json | undefined {
    return copyJson(this.#held(nameOf(key)));
  }

  set(key: Key, value: unknown): void {
    const name = nameOf(key);
    const json = toJson(value, `channel "${name}"`);
    if (json === undefined) this.delete(key);
    else this.#write({ op: 'set', key: name, value: json }, json);
  }

  add(key: Key, amount = 1): void {
    const name = nameOf(key);
    const held = this.#held(name);
    const value = toJson(amount, `channel "${name}"`);
    if (typeof value !== 'number' || (held !== undefined && typeof held !== 'number')) throw misfit('add', name, 'numbers', held);
    this.#write({ op: 'add', key: name, value }, toJson((held ?? 0) + value, `channel "${name}"`));
  }

  append(key: Key, value: unknown): void {
    const name = nameOf(key);
    const held = this.#held(name);
    const json = toJson(value, `channel "${name}"`);
    if (json === undefined || (held !== undefined && !Array.isArray(held))) throw misfit('append', name, 'a list and a value', held);
    this.#write({ op: 'append', key: name, value: json }, [...(held ?? []), json]);
  }

  delete(key: Key): void {
    const name = nameOf(key);
    this.#write({ op: 'delete', key: name }, undefined);
  }

  #held(name: string): Json | undefined {
    if (this.#own.has(name)) return this.#own.get(name);
    return Object.hasOwn(this.#base, name) ? this.#base[name] : undefined;
  }

  #write(operation: ChannelOperation, result: Json | undefined): void {
    this.#guard();
    this.#operations.push(operation);
    this.#own.set(operation.key, result);
  }
}

function nameOf(key: Key): string {
  const name = typeof key === 'string' ? key : key.name;
  if (typeof name !== 'string' || name === '' || name in Object.prototype) {
    throw new TaskError('task/channel', `${preview(name)} cannot be a channel key`, { hint: 'use a short text that is no property of Object.prototype' });
  }
  return name;
}

function misfit(op: string, name: string, wanted: string, held: Json | undefined): TaskError {
  return new TaskError('task/channel', `ctx.channel.${op}("${name}") needs ${wanted}, but the channel holds ${preview(held)}`, {
    hint: 'use one kind of value for each key',
  });
}
