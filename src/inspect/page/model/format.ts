/** Numbers, times and texts as people read them. */
import type { ErrorSummary, ValueText } from '../../messages.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

export function count(value: number, noun: string): string {
  return `${grouped(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** Two units at most, so that a column of them stays narrow. */
export function duration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${pad(Math.floor((ms % MINUTE) / SECOND))} s`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ${pad(Math.floor((ms % HOUR) / MINUTE))} min`;
  return `${Math.floor(ms / DAY)} d ${Math.floor((ms % DAY) / HOUR)} h`;
}

/** Without tenths of seconds, which nobody reads while they change. */
export function runningFor(milliseconds: number): string {
  return milliseconds < SECOND ? '0 s' : milliseconds < MINUTE ? `${Math.floor(milliseconds / SECOND)} s` : duration(milliseconds);
}

export function clock(at: number, fraction = false): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return fraction ? `${text}.${String(date.getMilliseconds()).padStart(3, '0')}` : text;
}

/** With the day, where it is another one than today. */
export function moment(at: number, now: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  if (date.toDateString() === new Date(now).toDateString()) return clock(at);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(at)}`;
}

/** `in 3 s`, or that the time has come. */
export function until(dueAt: number, now: number): string {
  const left = dueAt - now;
  return left <= 0 ? 'now' : `in ${runningFor(left)}`;
}

/** JSON with line breaks where it is whole, else what there is. */
export function pretty({ text, cut }: ValueText): string {
  if (cut || text.length > 200_000) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** What is at the bottom of it, in a line: what stands above only says which task it was. */
export function oneLine(error: ErrorSummary): string {
  let { cause } = error;
  for (let depth = 0; cause?.cause !== undefined && depth < 20; depth += 1) cause = cause.cause;
  const { name, message } = cause ?? error;
  return name === 'Error' || name === 'NonRetryableError' ? message : `${name}: ${message}`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
