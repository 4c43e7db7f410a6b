/** Open connections that nobody uses, kept for a while for whoever comes next: opening them costs more than a short run takes. */

export interface IdleLink {
  /** It has no use any more. */
  discard(): void;
}

const KEPT_MS = 10_000;
/** Of one kind. */
const MOST_KEPT = 8;

export class IdleLinks<L extends IdleLink> {
  readonly #kept = new Map<string, { readonly link: L; readonly timer: NodeJS.Timeout }[]>();

  /** The one that was kept last. Nothing here keeps the process alive. */
  take(kind: string): L | undefined {
    const kept = this.#kept.get(kind)?.pop();
    if (kept === undefined) return undefined;
    clearTimeout(kept.timer);
    return kept.link;
  }

  keep(kind: string, link: L): void {
    const kept = this.#kept.get(kind) ?? [];
    if (kept.length === MOST_KEPT) return link.discard();
    this.#kept.set(kind, kept);
    const timer = setTimeout(() => {
      this.forget(kind, link);
      link.discard();
    }, KEPT_MS).unref();
    kept.push({ link, timer });
  }

  /** It was lost meanwhile. */
  forget(kind: string, link: L): void {
    const kept = this.#kept.get(kind);
    const at = kept?.findIndex((one) => one.link === link) ?? -1;
    if (kept === undefined || at < 0) return;
    clearTimeout(kept[at]?.timer);
    kept.splice(at, 1);
    if (kept.length === 0) this.#kept.delete(kind);
  }
}
