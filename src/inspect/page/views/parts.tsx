/**
 * The small parts that every view uses.
 *
 * Owns: signs, badges, bars, names, when a part is drawn again. Does not own: what they stand for (model/states.ts).
 *
 * Invariants
 * 1. A state is never told by colour alone: each tone has a sign of its own shape.
 * 2. What comes from someone's program is text: nothing here or elsewhere makes markup or an address of it.
 */
import { Component, type ComponentChildren, type FunctionComponent, type JSX } from 'preact';
import { useCallback, useState } from 'preact/hooks';
import type { Segments, Tone } from '../model/states.ts';

const signs: Readonly<Record<Tone, JSX.Element>> = {
  pending: <circle cx="7" cy="7" r="4.5" />,
  running: <path d="M4.5 2.5 11.5 7l-7 4.5z" class="full" />,
  waiting: <path d="M7 1.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M7 4v3.2l2.2 1.4" />,
  retrying: <path d="M11.8 5.2A5.1 5.1 0 1 0 12 8.2M12 2.2v3.2H8.8" />,
  done: <path d="m2.5 7.5 3 3 6-7" class="bold" />,
  failed: <path d="m3 3 8 8m0-8-8 8" class="bold" />,
  skipped: <path d="M3 7h8" />,
  stopped: <path d="M3.5 3.5h7v7h-7z" class="full" />,
};

export function Sign({ tone, title }: { tone: Tone; title?: string | undefined }) {
  return (
    <svg class={`sign t-${tone}`} width="14" height="14" viewBox="0 0 14 14" role={title === undefined ? undefined : 'img'} aria-hidden={title === undefined} aria-label={title}>
      {signs[tone]}
    </svg>
  );
}

export function Badge({ tone, word }: { tone: Tone; word: string }) {
  return <span class={`badge t-${tone}`}><Sign tone={tone} />{word}</span>;
}

/** What of the whole is in which state; the rest of the bar is what has not begun. */
export function Bar({ segments }: { segments: Segments }) {
  const parts = ['done', 'running', 'retrying', 'waiting', 'failed'] as const;
  const share = (value: number): string => `${segments.size === 0 ? 0 : (value / segments.size) * 100}%`;
  return (
    <span class="bar" aria-hidden="true">
      {parts.map((part) => segments[part] > 0 && <i key={part} class={`t-${part}`} style={{ width: share(segments[part]) }} />)}
    </span>
  );
}

/** A name out of someone's program: never markup, and of its own direction. */
export function Name({ text, class: more = '' }: { text: string; class?: string }) {
  return <bdi class={`name ${more}`} title={text}>{text === '' ? '""' : text}</bdi>;
}

export function Facts({ rows }: { rows: readonly (readonly [label: string, value: ComponentChildren] | false | undefined)[] }) {
  return (
    <dl class="facts">
      {rows.map((row) => row && <div key={row[0]}><dt>{row[0]}</dt><dd>{row[1]}</dd></div>)}
    </dl>
  );
}

export function Section({ title, aside, children }: { title: string; aside?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="section">
      <header><h3>{title}</h3>{aside !== undefined && <span class="aside">{aside}</span>}</header>
      {children}
    </section>
  );
}

export function Quiet({ children }: { children: ComponentChildren }) {
  return <p class="quiet">{children}</p>;
}

/** Draws again only when a prop is another one (or `same` says so). */
export function memo<P extends object>(Drawn: FunctionComponent<P>, same: (before: P, after: P) => boolean = shallow): FunctionComponent<P> {
  class Memo extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      return !same(this.props as P, next);
    }

    override render(props: P) {
      return <Drawn {...props} />;
    }
  }
  return Memo as unknown as FunctionComponent<P>;
}

export function shallow<P extends object>(before: P, after: P): boolean {
  const [a, b] = [before as Record<string, unknown>, after as Record<string, unknown>];
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.is(a[key], b[key]));
}

export function Copy({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = useCallback(() => {
    navigator.clipboard.writeText(text).then(() => {
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    }, () => undefined);
  }, [text]);
  return <button type="button" class="link copy" onClick={copy}>{done ? 'Copied' : label}</button>;
}
