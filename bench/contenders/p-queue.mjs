/** p-queue: a queue of promises with a concurrency limit. It keeps no state that could be restored. */
import PQueue from 'p-queue';
import { range, timed, verify, verifyChain, verifyFanOut } from '../lib/measure.mjs';

const addOne = async (x) => x + 1;

export async function fanOut({ n, concurrency }) {
  const items = range(n);
  const { ms, value } = await timed(() => {
    const queue = new PQueue({ concurrency });
    return queue.addAll(items.map((x) => () => addOne(x)));
  });
  verifyFanOut(value, n);
  return { ms };
}

/** Each step is added when the one before has given its output, as a chain is written by hand. */
export async function chain({ n }) {
  const { ms, value } = await timed(async () => {
    const queue = new PQueue({ concurrency: 1 });
    let x = 0;
    for (let i = 0; i < n; i += 1) x = await queue.add(() => addOne(x));
    return x;
  });
  verifyChain(value, n);
  return { ms };
}

/** All steps are added at once; concurrency 1 keeps their order and a shared variable carries the value. */
export async function chainQueued({ n }) {
  const { ms, value } = await timed(async () => {
    const queue = new PQueue({ concurrency: 1 });
    let x = 0;
    for (let i = 0; i < n; i += 1) {
      queue.add(async () => {
        x = await addOne(x);
      });
    }
    await queue.onIdle();
    return x;
  });
  verifyChain(value, n);
  return { ms };
}

export async function diamond({ runs, concurrency }) {
  const a = async (x) => x + 1;
  const b = async (x) => x * 2;
  const c = async (x) => x * 3;
  const d = async ({ b: left, c: right }) => left + right;
  const e = async (x) => x - 5;
  const queue = new PQueue({ concurrency });
  const { ms } = await timed(async () => {
    for (let i = 0; i < runs; i += 1) {
      const first = await queue.add(() => a(i));
      const [left, right] = await queue.addAll([() => b(first), () => c(first)]);
      const joined = await queue.add(() => d({ b: left, c: right }));
      const output = await queue.add(() => e(joined));
      verify(output === 5 * i, `run ${i} gave ${output}`);
    }
  });
  return { ms };
}
