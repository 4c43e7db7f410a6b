/** The words and tones for states. A tone is a colour and a sign; the word always stands with it or is its title. */
import type { GroupMessage, MemberCode, RunMessage, RunState, SourceMessage, TaskState, TaskStateName } from '../../messages.ts';

export type Tone = TaskStateName;

export const tones: readonly Tone[] = ['running', 'retrying', 'waiting', 'failed', 'stopped', 'done', 'pending', 'skipped'];

export const memberStates: readonly { readonly code: MemberCode; readonly name: string; readonly tone: Tone }[] = [
  { code: 'f', name: 'failed', tone: 'failed' },
  { code: 't', name: 'retrying', tone: 'retrying' },
  { code: 'w', name: 'waiting', tone: 'waiting' },
  { code: 'r', name: 'running', tone: 'running' },
  { code: 'q', name: 'handed out', tone: 'pending' },
  { code: 'd', name: 'done', tone: 'done' },
  { code: 'x', name: 'stopped', tone: 'stopped' },
  { code: 'p', name: 'pending', tone: 'pending' },
];

const byCode = new Map(memberStates.map((state) => [state.code, state]));

export function memberState(code: MemberCode): (typeof memberStates)[number] {
  return byCode.get(code) ?? { code: 'p', name: 'pending', tone: 'pending' };
}

const runTones: Readonly<Record<RunState, Tone>> = {
  starting: 'pending', running: 'running', waiting: 'waiting', paused: 'stopped', completed: 'done', failed: 'failed', cancelled: 'stopped', stopped: 'stopped',
};

export interface Seen {
  readonly tone: Tone;
  readonly word: string;
}

export function isFinal(state: RunState): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled' || state === 'stopped';
}

/** A run whose process has gone without a word is no longer what it last said. */
export function runSeen(run: Pick<RunMessage, 'state' | 'origin'>, source: Pick<SourceMessage, 'state'> | undefined): Seen {
  if (isFinal(run.state) || run.origin === 'checkpoint' || source === undefined || source.state === 'connected') return { tone: runTones[run.state] ?? 'pending', word: run.state };
  return source.state === 'lost' ? { tone: 'failed', word: 'lost' } : { tone: 'stopped', word: 'left' };
}

/** Parts of a bar that stands for all members. */
export interface Segments {
  readonly size: number;
  readonly done: number;
  readonly failed: number;
  readonly running: number;
  readonly waiting: number;
  readonly retrying: number;
}

export function segmentsOf(state: TaskState | undefined, group: GroupMessage | undefined): Segments | undefined {
  const members = state?.members;
  if (group !== undefined && (members === undefined || members.size <= group.size)) {
    const { size, done, failed, running, waiting, retrying } = group;
    return { size, done, failed, running, waiting, retrying };
  }
  return members === undefined ? undefined : { ...members, waiting: 0, retrying: 0 };
}

/** Of single steps, by their states; for a closed workflow or sequence. */
export function segmentsOfSteps(states: readonly (TaskState | undefined)[]): Segments {
  const of = (...names: TaskStateName[]): number => states.filter((state) => state !== undefined && names.includes(state.state)).length;
  return { size: states.length, done: of('done'), failed: of('failed'), running: of('running'), waiting: of('waiting'), retrying: of('retrying') };
}

/** How long the latest execution took, or takes. */
export function elapsed(state: TaskState, now: number): number | undefined {
  if (state.startedAt === undefined) return undefined;
  const active = state.state === 'running' || state.state === 'waiting' || state.state === 'retrying';
  if (active) return Math.max(0, now - state.startedAt);
  return state.endedAt === undefined || state.endedAt < state.startedAt ? undefined : state.endedAt - state.startedAt;
}

export function isActive(state: TaskState | undefined): boolean {
  return state?.state === 'running' || state?.state === 'waiting' || state?.state === 'retrying';
}
