/** What every measured process shares: a clock, a check of the answer, and the memory that it took. */

let atEnd;

/** Runs `fn` and gives back its value and how long it took, in milliseconds. */
export async function timed(fn) {
  const start = process.hrtime.bigint();
  const value = await fn();
  const ms = Number(process.hrtime.bigint() - start) / 1e6;
  atEnd = memoryNow();
  return { ms, value };
}

/** A figure for work that was not done would be worth nothing: the wrong answer is an error, not a result. */
export function verify(ok, message) {
  if (!ok) throw new Error(`Wrong answer: ${message}`);
}

export function verifyChain(output, n) {
  verify(output === n, `a chain of ${n} steps that each add 1 to 0 gave ${String(output)}`);
}

/** The output of `x => x + 1` over 0..n-1, in order. */
export function verifyFanOut(outputs, n) {
  verify(Array.isArray(outputs) && outputs.length === n, `${n} outputs wanted, ${outputs?.length} came`);
  for (let i = 0; i < n; i += 1) verify(outputs[i] === i + 1, `output ${i} is ${String(outputs[i])}`);
}

export const range = (n) => Array.from({ length: n }, (_, i) => i);

/** A promise together with the functions that settle it. */
export function deferred() {
  let resolve;
  let reject;
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/**
 * Memory when the last timed section ended: the peak of the process, the heap as it was, and (with --expose-gc) what of
 * the heap was still alive, the workflow and its output included.
 */
export const memoryAtEnd = () => atEnd;

function memoryNow() {
  const now = { peakRss: process.resourceUsage().maxRSS * 1024, heapUsed: process.memoryUsage().heapUsed };
  if (!globalThis.gc) return now;
  globalThis.gc();
  return { ...now, heapLive: process.memoryUsage().heapUsed };
}
