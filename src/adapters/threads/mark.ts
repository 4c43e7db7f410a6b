/** How code finds out that it runs in one of our threads: a property of the global object, so that two copies of the package agree. */

export interface ThreadMark {
  /** True in whatever a task of this thread does; false in what the module does by itself. */
  inTask(): boolean;
}

const key = Symbol.for('taskchart.thread');

export function markThread(mark: ThreadMark): void {
  (globalThis as { [key]?: ThreadMark })[key] = mark;
}

/** Nothing where this is no thread of ours. */
export function threadMark(): ThreadMark | undefined {
  return (globalThis as { [key]?: ThreadMark })[key];
}
