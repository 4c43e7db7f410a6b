/** What all ways of showing a run have in common. */
import type { RunEvent } from '../runtime/observer.ts';

/** Frames at most this often. */
export const FRAME_MS = 100;

/** The part of a stream that is needed; `process.stderr` is one. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/** Takes events as they come, and writes at most once per frame. */
export interface View {
  see(event: RunEvent): void;
  /** Writes what has changed. `now` in milliseconds since the epoch. */
  frame(now: number): void;
  /** Text of others, such as `console.log` in a task: kept apart from what is drawn. */
  print(text: string): void;
  /** Gives the cursor back for good; frames may still be drawn. */
  release(): void;
  /** The last frame; gives the terminal back. Safe to call twice. */
  end(now: number): void;
}
