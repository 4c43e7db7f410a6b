/**
 * The members of a group: counts that filter, a list of any length, and one of them in full.
 *
 * Owns: which members are listed. Does not own: their states (fold.ts).
 */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { GraphNode } from '../../../core/graph.ts';
import type { GroupPicture } from '../../fold.ts';
import type { MemberCode, MemberNote } from '../../messages.ts';
import type { MemberPage } from '../../protocol.ts';
import { grouped, oneLine, until } from '../model/format.ts';
import { memberState, memberStates, segmentsOf } from '../model/states.ts';
import { Bar, Name, Quiet, Section, Sign } from '../views/parts.tsx';
import { VirtualList } from '../views/virtual-list.tsx';
import { ErrorText, FetchedValue, type Ask } from './value.tsx';

const ROW = 26;

export interface MembersProps {
  readonly node: GraphNode;
  readonly group: GroupPicture;
  readonly picked: number | undefined;
  readonly onPick: (member: number | undefined) => void;
  readonly now: number;
  /** Absent in the past: what does not come with the stream cannot be had then. */
  readonly ask?: Ask | undefined;
}

export function memberName(node: GraphNode | undefined, index: number): string {
  if (node?.kind === 'parallel' || node?.kind === 'dag') return node.members[index]?.id ?? String(index);
  return String(index);
}

export function Members({ node, group, picked, onPick, now, ask }: MembersProps) {
  const [filter, setFilter] = useState<{ readonly code?: MemberCode | undefined; readonly text: string }>({ text: '' });
  const { last, members } = group;
  const counts = members?.counts() ?? countsOf(group);
  const segments = segmentsOf(undefined, last);
  const codes = memberStates.filter(({ code }) => (counts[code] ?? 0) > 0 || filter.code === code);
  return (
    <Section title="Members" aside={`${grouped(last.done + last.failed)} of ${grouped(last.size)}`}>
      {segments !== undefined && <Bar segments={segments} />}
      <div class="chips" role="group" aria-label="Show only">
        {codes.map(({ code, name, tone }) => (
          <button type="button" key={code} class="chip" aria-pressed={filter.code === code} onClick={() => setFilter({ ...filter, code: filter.code === code ? undefined : code })}>
            <Sign tone={tone} />{name} <b>{grouped(counts[code] ?? 0)}</b>
          </button>
        ))}
      </div>
      <input class="field filter" type="search" placeholder="Filter by name or error" aria-label="Filter members by name or error" value={filter.text} disabled={members === undefined} onInput={(event) => setFilter({ ...filter, text: event.currentTarget.value })} />
      {members === undefined
        ? <AskedMembers node={node} group={group} code={filter.code} picked={picked} onPick={onPick} now={now} ask={ask} />
        : <KnownMembers node={node} group={group} code={filter.code} text={filter.text} picked={picked} onPick={onPick} now={now} />}
      {picked !== undefined && picked < last.size && <Member node={node} group={group} index={picked} ask={ask} onClose={() => onPick(undefined)} now={now} />}
    </Section>
  );
}

function countsOf({ last }: GroupPicture): Partial<Record<MemberCode, number>> {
  const { size, running, waiting, retrying, done, failed } = last;
  return { r: running, w: waiting, t: retrying, d: done, f: failed, p: Math.max(0, size - running - waiting - retrying - done - failed) };
}

type ListProps = Omit<MembersProps, 'ask'> & { readonly code: MemberCode | undefined };

function KnownMembers({ node, group, code, text, picked, onPick, now }: ListProps & { readonly text: string }) {
  const { members, notes, last } = group;
  const wanted = text.trim().toLowerCase();
  const listed = code === undefined && wanted === '' ? undefined : matching(node, group, code, wanted);
  const at = (position: number): number => (listed === undefined ? position : (listed[position] as number));
  const length = listed?.length ?? last.size;
  return (
    <VirtualList length={length} rowHeight={ROW} label="Members" class={length === 0 ? 'empty' : ''} picked={picked === undefined ? undefined : listed === undefined ? picked : listed.indexOf(picked)} onPick={(position) => onPick(at(position))}
      row={(position) => {
        const index = at(position);
        return <Row name={memberName(node, index)} code={members?.at(index) ?? 'p'} note={notes.get(index)} now={now} />;
      }} />
  );
}

function matching(node: GraphNode, { members, notes, last }: GroupPicture, code: MemberCode | undefined, wanted: string): number[] {
  const listed: number[] = [];
  for (let index = 0; index < last.size; index += 1) {
    if (code !== undefined && members?.at(index) !== code) continue;
    if (wanted !== '' && !memberName(node, index).toLowerCase().includes(wanted)) {
      const error = notes.get(index)?.error;
      if (error === undefined || !oneLine(error).toLowerCase().includes(wanted)) continue;
    }
    listed.push(index);
  }
  return listed;
}

function Row({ name, code, note, now }: { name: string; code: MemberCode; note: MemberNote | undefined; now: number }) {
  const state = memberState(code);
  const more = note?.error !== undefined ? oneLine(note.error) : note?.attempt !== undefined && note.attempt > 1 ? `attempt ${note.attempt}` : '';
  return (
    <>
      <Sign tone={state.tone} title={state.name} />
      <Name text={name} class="row-name" />
      <span class="row-state">{state.name}{code === 't' && note?.dueAt !== undefined ? ` ${until(note.dueAt, now)}` : ''}</span>
      <span class="row-more">{more}</span>
    </>
  );
}

const PAGE = 200;

/** Of groups so large that their members do not come with the stream: pages of them, asked for as they come into view. */
function AskedMembers({ node, group, code, picked, onPick, now, ask }: ListProps & Pick<MembersProps, 'ask'>) {
  const [pages, setPages] = useState<{ readonly of: string; readonly members: MemberPage['members']; readonly next: number | undefined; readonly trouble?: string }>({ of: '', members: [], next: 0 });
  const [end, setEnd] = useState(0);
  const of = `${group.last.group} ${code ?? ''}`;
  const mine = pages.of === of ? pages : { of, members: [], next: 0 };
  const wanted = mine.next !== undefined && end + 20 >= mine.members.length;
  useEffect(() => {
    if (ask === undefined || !wanted || mine.next === undefined) return undefined;
    let current = true;
    void ask({ kind: 'members', group: group.last.group, from: mine.next, count: PAGE, ...(code !== undefined && { states: code }) }).then((answer) => {
      if (!current) return;
      if (answer.ok && answer.members !== undefined) setPages({ of, members: [...mine.members, ...answer.members.members], next: answer.members.next });
      else setPages({ ...mine, next: undefined, trouble: answer.ok ? 'There was no answer.' : answer.error.message });
    });
    return () => { current = false; };
  }, [of, wanted, mine.next]);
  const onWindow = useMemo(() => (_from: number, to: number) => setEnd(to), []);
  if (ask === undefined) return <Quiet>Members of a group of this size are listed live only.</Quiet>;
  return (
    <>
      <VirtualList length={mine.members.length} rowHeight={ROW} label="Members" onWindow={onWindow} picked={mine.members.findIndex(({ index }) => index === picked)} onPick={(position) => onPick(mine.members[position]?.index)}
        row={(position) => {
          const member = mine.members[position];
          return member === undefined ? null : <Row name={memberName(node, member.index)} code={member.state} note={member.note} now={now} />;
        }} />
      <Quiet>{mine.trouble ?? `As it was when asked. ${mine.next === undefined ? 'That is all.' : 'Scroll for more.'}`}</Quiet>
    </>
  );
}

function Member({ node, group, index, ask, onClose, now }: Pick<MembersProps, 'node' | 'group' | 'ask' | 'now'> & { readonly index: number; readonly onClose: () => void }) {
  const code = group.members?.at(index) ?? 'p';
  const note = group.notes.get(index);
  const state = memberState(code);
  const of = { group: group.last.group, index };
  return (
    <div class="member">
      <header class="member-head">
        <Sign tone={state.tone} /><h4>Member <Name text={memberName(node, index)} /></h4>
        <span class="row-state">{group.members === undefined ? '' : state.name}{note?.dueAt !== undefined && code === 't' ? ` ${until(note.dueAt, now)}` : ''}{note?.attempt !== undefined && note.attempt > 1 ? `, attempt ${note.attempt}` : ''}</span>
        <button type="button" class="link" onClick={onClose}>Close</button>
      </header>
      {note?.error !== undefined && <ErrorText error={note.error} />}
      {ask === undefined && <Quiet>Its values can be asked for live only.</Quiet>}
      <FetchedValue title="Input" ask={ask} which="input" of={of} version={code} />
      {(code === 'd' || group.members === undefined) && <FetchedValue title="Output" ask={ask} which="output" of={of} version={code} />}
      {code === 'f' && note?.error === undefined && <FetchedValue title="Error" ask={ask} which="error" of={of} version={code} />}
    </div>
  );
}
