/**
 * What viewers ask of runs, and how relay, runs and viewers talk: HTTP, JSON, server-sent events.
 *
 * Owns: the shapes of commands and answers, the paths of the relay. Does not own: the messages of the stream (messages.ts).
 */
import type { Json } from '../core/json-type.ts';
import type { NodeId } from '../core/graph.ts';
import type { ErrorSummary, MemberCode, MemberNote, SourceMessage, ValueText } from './messages.ts';

/** What a viewer asks of a run; `value` and `members` only look, the others need the run's leave (`RunMessage.control`). */
export type Command =
  | { readonly kind: 'signal'; readonly name: string; /** Absent: no value. */ readonly value?: Json }
  | { readonly kind: 'pause' | 'resume' }
  | { readonly kind: 'cancel'; readonly reason?: string }
  /** The full text of a value: of a node's latest execution, of a member of a group, of a token in flight, or of the run. */
  | { readonly kind: 'value'; readonly which: 'input' | 'output' | 'error'; readonly of: ValueOf }
  /** States of the members of a group, with keys and first words of errors; only those in `states`, where given. */
  | { readonly kind: 'members'; readonly group: number; readonly from: number; readonly count: number; readonly states?: string };

export type ValueOf =
  | { readonly node: NodeId }
  | { readonly group: number; readonly index: number }
  | { readonly token: number }
  | { readonly run: true };

/** The body of `POST /api/command`. */
export interface CommandRequest {
  /** Of the run. */
  readonly session: string;
  readonly command: Command;
}

/** The body of the answer, and what a source posts. */
export type CommandAnswer =
  | { readonly ok: true; readonly value?: ValueText; readonly members?: MemberPage }
  | { readonly ok: false; readonly error: ErrorSummary };

export interface MemberPage {
  readonly members: readonly { readonly index: number; readonly id: string; readonly state: MemberCode; readonly note?: MemberNote }[];
  /** Where to go on; absent: that was all. */
  readonly next?: number;
}

// The relay's paths --------------------------------------------------------------------------------------------------------

/**
 * Every request carries the token: `?token=…`, or `Authorization: Bearer …`.
 *
 * For viewers
 * - `GET /` the page.
 * - `GET /api/stream?root=<rootId>&root=…` server-sent events; each `data:` is a JSON array of messages. Without `root` it holds
 *   what is sent to every viewer: sources, systems, runs. With it also everything about those systems; `root=*` is all of them.
 * - `GET /api/history?root=<rootId>` the kept history of a system as JSON lines, oldest first: each line is an array of messages,
 *   the first one begins with `@taskchart.reset`.
 * - `POST /api/command` a CommandRequest; answers with a CommandAnswer (also where it was refused).
 *
 * For runs
 * - `POST /api/source/<id>` JSON lines: messages, and SourceLines.
 * - `GET /api/source/<id>` stays open: JSON lines of SourceCommand; empty lines keep the connection alive.
 */
export const paths = { page: '/', stream: '/api/stream', history: '/api/history', command: '/api/command', source: '/api/source/' } as const;

/** Lines of a source that are no messages. */
export type SourceLine =
  | { readonly type: 'hello'; readonly version: string; readonly kind: SourceMessage['kind']; readonly host?: string; readonly pid?: number; readonly title?: string; readonly dropped: number; /** What follows is everything: forget what was said before. */ readonly fresh: boolean }
  | { readonly type: 'answer'; readonly id: string; readonly answer: CommandAnswer }
  | { readonly type: 'bye' };

/** What the relay asks of a source. */
export type SourceCommand =
  | { readonly id: string; readonly session: string; readonly command: Command }
  /** Everything again: the relay has started, or has forgotten it. */
  | { readonly resend: true };
