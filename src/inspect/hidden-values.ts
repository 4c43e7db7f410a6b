/**
 * What was hidden once, so that it is known where it appears again under another name.
 *
 * Objects are known by identity, texts of TEXT_LEAST characters and more by what they say; numbers and the like are not known,
 * or every 1 would be hidden. Texts of errors are also known inside others: who wraps an error quotes it.
 *
 * Invariant: what is kept is bounded; the oldest texts are forgotten first, and no object is held.
 */
const TEXT_LEAST = 4;
const TEXT_MOST = 100_000;
const TEXTS_KEPT = 2000;
const CHARACTERS_KEPT = 1_000_000;
const QUOTED_KEPT = 200;
/** Who quotes a text may have cut it. */
const QUOTED_MOST = 40;
const PARTS_MOST = 5000;
const DEEPEST = 100;

/** They say where an error is from, or are errors themselves. */
const plainDetails: ReadonlySet<string> = new Set(['taskId', 'groupId', 'workflow', 'runId', 'failed', 'succeeded']);

export class HiddenValues {
  readonly #objects = new WeakSet<object>();
  readonly #texts = new Set<string>();
  #characters = 0;
  readonly #quoted = new Set<string>();

  knows(value: unknown): boolean {
    if (typeof value === 'string') return this.#texts.has(value) || this.#quotes(value);
    return typeof value === 'object' && value !== null && this.#objects.has(value);
  }

  /** A value with all that is in it. */
  add(value: unknown): void {
    try {
      this.#add(value, 0, { left: PARTS_MOST });
    } catch {
      // A proxy or a getter: what could be read is known.
    }
  }

  addQuoted(text: unknown): void {
    if (typeof text !== 'string' || text.length < TEXT_LEAST) return;
    this.#addText(text);
    const beginning = text.slice(0, QUOTED_MOST);
    this.#quoted.delete(beginning);
    this.#quoted.add(beginning);
    if (this.#quoted.size > QUOTED_KEPT) this.#quoted.delete(first(this.#quoted));
  }

  addDetails(details: Readonly<Record<string, unknown>> | undefined): void {
    for (const key in details) if (!plainDetails.has(key)) this.add(details[key]);
  }

  #quotes(text: string): boolean {
    for (const quoted of this.#quoted) if (text.includes(quoted)) return true;
    return false;
  }

  #add(value: unknown, depth: number, budget: { left: number }): void {
    if ((budget.left -= 1) < 0 || depth > DEEPEST) return;
    if (typeof value === 'string') return this.#addText(value);
    if (typeof value !== 'object' || value === null || this.#objects.has(value)) return;
    this.#objects.add(value);
    for (const key in value) {
      if (budget.left < 0) return;
      if (Object.hasOwn(value, key)) this.#add((value as Record<string, unknown>)[key], depth + 1, budget);
    }
  }

  #addText(text: string): void {
    if (text.length < TEXT_LEAST || text.length > TEXT_MOST) return;
    if (this.#texts.delete(text)) this.#characters -= text.length;
    this.#texts.add(text);
    this.#characters += text.length;
    while (this.#texts.size > TEXTS_KEPT || this.#characters > CHARACTERS_KEPT) {
      const oldest = first(this.#texts);
      this.#texts.delete(oldest);
      this.#characters -= oldest.length;
    }
  }
}

function first(texts: ReadonlySet<string>): string {
  for (const text of texts) return text;
  return '';
}
