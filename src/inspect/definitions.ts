/** The definition of an actor's machine as text, and the name that an actor goes by. Written once per machine. */
import type { AnyActorRef } from 'xstate';
import { cut } from '../core/preview.ts';
import { REDACTED, type Redactor } from './redact.ts';

/** A larger chart is of no use to anyone who looks at it. */
const MOST = 500_000;

export class Definitions {
  readonly #redactor: Redactor;
  readonly #written = new WeakMap<object, string | null>();

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  /** JSON text of the config, without its first context; nothing for actors that are no machines. */
  of(actor: AnyActorRef): string | undefined {
    const { config } = ((actor as { readonly logic?: unknown }).logic ?? {}) as { readonly config?: unknown };
    if (typeof config !== 'object' || config === null || !('states' in config || 'initial' in config || 'on' in config)) return undefined;
    let text = this.#written.get(config);
    if (text === undefined) this.#written.set(config, (text = this.#write(config)));
    return text ?? undefined;
  }

  #write(config: object): string | null {
    const redactor = this.#redactor;
    /** The objects around the value that is looked at, and the keys that led to them. */
    const above: object[] = [];
    const keys: string[] = ['definition'];
    try {
      const text = JSON.stringify(config, function replace(this: object, key, value: unknown) {
        while (above.length > 0 && above.at(-1) !== this) {
          above.pop();
          keys.pop();
        }
        if (above.length === 1 && (key === 'context' || key === 'schemas')) return undefined;
        if (redactor.hides(key === '' || Array.isArray(this) ? keys : [...keys, key])) return REDACTED;
        if (typeof value === 'function') return { type: value.name };
        if (typeof value !== 'object' || value === null) return value;
        if (above.includes(value)) return '(itself)';
        // Logic that stands in the config instead of its name.
        if ('transition' in value && typeof value.transition === 'function') return { type: String((value as { readonly id?: unknown }).id ?? 'logic') };
        above.push(value);
        keys.push(key);
        return value;
      });
      return text.length > MOST ? null : text;
    } catch {
      return null;
    }
  }
}

/** The id that it was given, or that of its machine; its session where it has neither. */
export function nameOf(actor: AnyActorRef): string {
  const { config } = ((actor as { readonly logic?: unknown }).logic ?? {}) as { readonly config?: { readonly id?: unknown } };
  const name = actor.id === actor.sessionId && typeof config?.id === 'string' ? config.id : actor.id;
  return cut(String(name), 200);
}
