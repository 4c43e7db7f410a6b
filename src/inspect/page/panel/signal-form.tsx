/** Sends a signal. The value is JSON; what is no JSON can be sent as text, but only on purpose. */
import { useState } from 'preact/hooks';
import type { Json } from '../../../core/json-type.ts';
import type { Ask } from './value.tsx';

interface Props {
  readonly ask: Ask;
  /** Absent: the sender names it. */
  readonly name?: string | undefined;
}

type Parsed = { readonly ok: true; readonly value?: Json } | { readonly ok: false };

export function SignalForm({ ask, name }: Props) {
  const [typedName, setName] = useState('');
  const [text, setText] = useState('');
  const [said, setSaid] = useState<{ readonly good: boolean; readonly text: string } | undefined>();
  const [busy, setBusy] = useState(false);
  const parsed = parse(text);
  const signal = name ?? typedName;

  const send = (value: Parsed): void => {
    if (!value.ok || signal === '' || busy) return;
    setBusy(true);
    void ask({ kind: 'signal', name: signal, ...('value' in value && { value: value.value as Json }) }).then((answer) => {
      setBusy(false);
      setSaid(answer.ok ? { good: true, text: `Sent "${signal}".` } : { good: false, text: answer.error.message });
      if (answer.ok) setText('');
    });
  };
  return (
    <form class="signal-form" onSubmit={(event) => { event.preventDefault(); send(parsed); }}>
      {name === undefined && <input class="field" placeholder="name of the signal" aria-label="Name of the signal" value={typedName} onInput={(event) => setName(event.currentTarget.value)} />}
      <textarea class="field mono" rows={1} spellcheck={false} placeholder={'true, 42, "text", {"key": …}'} aria-label={`Value of the signal ${signal}, as JSON`} value={text}
        onInput={(event) => { setText(event.currentTarget.value); setSaid(undefined); }}
        onKeyDown={(event) => { if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); send(parsed); } }} />
      <span class="form-line">
        {parsed.ok
          ? <button type="submit" class={`button${text.trim() === '' ? '' : ' primary'}`} disabled={busy || signal === ''}>{text.trim() === '' ? 'Send without a value' : 'Send'}</button>
          : <button type="button" class="button" disabled={busy || signal === ''} onClick={() => send({ ok: true, value: text })}>Send as text</button>}
        <span class={`said${said?.good === false ? ' bad' : ''}`} role="status">{said?.text ?? (parsed.ok ? '' : 'This is no JSON yet.')}</span>
      </span>
    </form>
  );
}

function parse(text: string): Parsed {
  if (text.trim() === '') return { ok: true };
  try {
    return { ok: true, value: JSON.parse(text) as Json };
  } catch {
    return { ok: false };
  }
}
