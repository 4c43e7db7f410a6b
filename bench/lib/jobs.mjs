/** The jobs of the Redis cases, and the proof that each was answered, once. */
import { deferred, verify } from './measure.mjs';

/** Jobs of about `bytes` as JSON. */
export function jobsOf(n, bytes) {
  const text = 'x'.repeat(Math.max(0, bytes - 20));
  return Array.from({ length: n }, (_, id) => ({ id, text }));
}

/** Answers in any order. */
export class Receipts {
  #left;
  #seen;
  #done = deferred();

  constructor(n) {
    this.#left = n;
    this.#seen = new Uint8Array(n);
    if (n === 0) this.#done.resolve();
  }

  get complete() {
    return this.#done.promise;
  }

  fail(error) {
    this.#done.reject(error);
  }

  take(id) {
    if (!(id >= 0 && id < this.#seen.length) || this.#seen[id] === 1) return this.fail(new Error(`Wrong answer: ${String(id)} came, or came again`));
    this.#seen[id] = 1;
    this.#left -= 1;
    if (this.#left === 0) this.#done.resolve();
  }
}

/** All answers at once, in order. */
export function verifyAnswers(ids, n) {
  verify(Array.isArray(ids) && ids.length === n, `${n} answers wanted, ${ids?.length} came`);
  for (let i = 0; i < n; i += 1) verify(ids[i] === i, `answer ${i} is ${String(ids[i])}`);
}
