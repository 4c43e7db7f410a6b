/** No library at all: what the language itself costs. The others are read against these figures. */
import { range, timed, verify, verifyChain, verifyFanOut } from '../lib/measure.mjs';

const addOne = async (x) => x + 1;

/** `concurrency` async loops share one cursor: the smallest thing that limits concurrency. */
export async function fanOut({ n, concurrency, warm = 0 }) {
  const items = range(n);
  const run = async () => {
    const outputs = new Array(items.length);
    let next = 0;
    const lane = async () => {
      while (next < items.length) {
        const at = next;
        next += 1;
        outputs[at] = await addOne(items[at]);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, lane));
    return outputs;
  };
  for (let i = 0; i < warm; i += 1) await run();
  const { ms, value } = await timed(run);
  verifyFanOut(value, n);
  return { ms };
}

/** The other usual form: every task is called at once and waits in a limiter of a few lines; one promise for each. */
export async function fanOutLimiter({ n, concurrency }) {
  const items = range(n);
  const { ms, value } = await timed(() => {
    const limit = limiter(concurrency);
    return Promise.all(items.map((x) => limit(() => addOne(x))));
  });
  verifyFanOut(value, n);
  return { ms };
}

function limiter(concurrency) {
  let active = 0;
  let first = 0;
  const waiting = [];
  const next = () => {
    if (first < waiting.length) return waiting[first++]();
    active -= 1;
  };
  return async (run) => {
    if (active < concurrency) active += 1;
    else await new Promise((resolve) => waiting.push(resolve));
    try {
      return await run();
    } finally {
      next();
    }
  };
}

export async function chain({ n }) {
  const { ms, value } = await timed(async () => {
    let x = 0;
    for (let i = 0; i < n; i += 1) x = await addOne(x);
    return x;
  });
  verifyChain(value, n);
  return { ms };
}

export async function diamond({ runs }) {
  const a = async (x) => x + 1;
  const b = async (x) => x * 2;
  const c = async (x) => x * 3;
  const d = async ({ b: left, c: right }) => left + right;
  const e = async (x) => x - 5;
  const { ms } = await timed(async () => {
    for (let i = 0; i < runs; i += 1) {
      const first = await a(i);
      const [left, right] = await Promise.all([b(first), c(first)]);
      const output = await e(await d({ b: left, c: right }));
      verify(output === 5 * i, `run ${i} gave ${output}`);
    }
  });
  return { ms };
}

/** Every member fails once and is tried again after its delay: one timer of the process for each. */
export async function retrying({ n, delayMs, jitter }) {
  const attemptOnce = async (x, attempt) => {
    if (attempt === 1) throw new Error('first attempt');
    return x + 1;
  };
  const member = async (x) => {
    try {
      return await attemptOnce(x, 1);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, delayMs * (1 - jitter * Math.random())));
      return attemptOnce(x, 2);
    }
  };
  const { ms, value } = await timed(() => Promise.all(range(n).map(member)));
  verifyFanOut(value, n);
  return { ms };
}
