/**
 * One viewer: what it wants to see, and how far it has come.
 *
 * Owns: leaving out what the viewer is too slow for. Does not own: the connection itself (`Outlet`), what there is to see (hub.ts).
 *
 * Invariants
 * 1. At most about BUFFER_MOST characters wait for a viewer, besides one system's picture. What comes while it is behind is not
 *    kept: the systems are noted, and it gets their newest pictures once it has caught up.
 * 2. A system that is noted gets nothing before its picture.
 * 3. The first `@taskchart.live` comes when everything that was known has been sent.
 */

/** Where the text goes. */
export interface Outlet {
  /** Characters that have not left yet. */
  readonly waiting: number;
  write(text: string): void;
}

/** What a viewer asks the hub for, when it is ready for it. */
export interface Pictures {
  /** The JSON texts of a system's picture, beginning with its reset; nothing for one that is gone. */
  picture(rootId: string): readonly string[] | undefined;
  /** Sources, systems and runs. */
  overview(skip: (rootId: string) => boolean): readonly string[];
  readonly live: string;
}

const BUFFER_MOST = 512_000;
const EVENT_MOST = 200_000;

export class Viewer {
  readonly #outlet: Outlet;
  readonly #pictures: Pictures;
  readonly #roots: ReadonlySet<string>;
  readonly #all: boolean;
  readonly #missed = new Set<string>();
  #missedOverview = true;
  #live = false;

  constructor(outlet: Outlet, pictures: Pictures, roots: readonly string[], known: Iterable<string>) {
    this.#outlet = outlet;
    this.#pictures = pictures;
    this.#roots = new Set(roots);
    this.#all = this.#roots.has('*');
    for (const root of known) if (this.wants(root)) this.#missed.add(root);
  }

  wants(root: string): boolean {
    return this.#all || this.#roots.has(root);
  }

  /** Messages about a system that the viewer wants. */
  batch(root: string, texts: readonly string[]): void {
    if (this.#missed.has(root)) this.catchUp();
    else if (this.#isBehind) this.#missed.add(root);
    else this.#write(texts);
  }

  /** What every viewer gets. */
  general(texts: readonly string[]): void {
    if (this.#missedOverview) this.catchUp();
    else if (this.#isBehind) this.#missedOverview = true;
    else this.#write(texts);
  }

  /** To be called when the outlet has taken what waited. */
  catchUp(): void {
    if (this.#missedOverview && !this.#isBehind) {
      this.#missedOverview = false;
      this.#write(this.#pictures.overview((root) => this.wants(root)));
    }
    for (const root of this.#missed) {
      if (this.#isBehind) return;
      this.#missed.delete(root);
      this.#write(this.#pictures.picture(root) ?? []);
    }
    if (this.#live || this.#missedOverview || this.#isBehind) return;
    this.#live = true;
    this.#write([this.#pictures.live]);
  }

  get #isBehind(): boolean {
    return this.#outlet.waiting > BUFFER_MOST;
  }

  #write(texts: readonly string[]): void {
    let part: string[] = [];
    let size = 0;
    for (const text of texts) {
      if (size + text.length > EVENT_MOST && part.length > 0) {
        this.#outlet.write(`data: [${part.join(',')}]\n\n`);
        part = [];
        size = 0;
      }
      part.push(text);
      size += text.length;
    }
    if (part.length > 0) this.#outlet.write(`data: [${part.join(',')}]\n\n`);
  }
}
