/** Values and errors in full text. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { ErrorSummary, ValueText } from '../../messages.ts';
import type { Command, CommandAnswer, ValueOf } from '../../protocol.ts';
import { pretty } from '../model/format.ts';
import { Copy, Quiet, Section } from '../views/parts.tsx';

export type Ask = (command: Command) => Promise<CommandAnswer>;

interface ValueProps {
  readonly title: string;
  readonly value: ValueText | undefined;
  /** How the whole of it can be had; absent: it cannot. */
  readonly ask?: Ask | undefined;
  readonly which: 'input' | 'output' | 'error';
  readonly of: ValueOf;
}

/** A value; where only its beginning came with the stream, the whole is fetched when it is asked for. */
export function Value({ title, value, ask, which, of }: ValueProps) {
  const [full, setFull] = useState<{ readonly for: ValueText; readonly value?: ValueText; readonly error?: ErrorSummary } | undefined>();
  if (value === undefined) return null;
  const mine = full?.for === value ? full : undefined;
  const shown = mine?.value ?? value;
  const text = pretty(shown);
  const fetchIt = (): void => {
    void ask?.({ kind: 'value', which, of }).then((answer) => {
      if (!answer.ok) setFull({ for: value, error: answer.error });
      else if (answer.value !== undefined) setFull({ for: value, value: answer.value });
      else setFull({ for: value, error: { name: 'Error', message: 'The process no longer has it.' } });
    });
  };
  return (
    <Section title={title} aside={<Copy text={text} />}>
      <pre class="value" tabIndex={0} aria-label={title}>{text}</pre>
      {shown.cut && <p class="note">Only the beginning is shown. {ask !== undefined && mine === undefined && <button type="button" class="link" onClick={fetchIt}>Show all</button>}</p>}
      {shown.redacted && <p class="note">Parts are left out on purpose (redacted).</p>}
      {mine?.error !== undefined && <p class="note bad">{mine.error.message}</p>}
    </Section>
  );
}

/** A value that does not come with the stream: fetched when it comes into view. */
export function FetchedValue({ title, ask, which, of, version }: Omit<ValueProps, 'value'> & { readonly version: string }) {
  const [answer, setAnswer] = useState<{ readonly for: string; readonly answer: CommandAnswer } | undefined>();
  const key = `${version} ${JSON.stringify(of)}`;
  useEffect(() => {
    if (ask === undefined) return undefined;
    let wanted = true;
    void ask({ kind: 'value', which, of }).then((one) => {
      if (wanted) setAnswer({ for: key, answer: one });
    });
    return () => { wanted = false; };
  }, [key, which]);
  if (ask === undefined) return null;
  // The old one stays until the new one is there: nothing jumps.
  if (answer === undefined) return <Section title={title}><Quiet>Asking…</Quiet></Section>;
  if (!answer.answer.ok) return <Section title={title}><Quiet>{answer.answer.error.message}</Quiet></Section>;
  if (answer.answer.value === undefined) return <Section title={title}><Quiet>None.</Quiet></Section>;
  return <Value title={title} value={answer.answer.value} which={which} of={of} />;
}

export function ErrorText({ error, children }: { error: ErrorSummary; children?: ComponentChildren }) {
  return (
    <div class="error">
      <p class="error-head"><strong>{error.name}</strong>{error.code !== undefined && <code>{error.code}</code>}</p>
      <p class="error-text">{error.message}</p>
      {error.hint !== undefined && <p class="error-hint">{error.hint}</p>}
      {error.cause !== undefined && <div class="cause"><span class="label">because of</span><ErrorText error={error.cause} /></div>}
      {children}
    </div>
  );
}
