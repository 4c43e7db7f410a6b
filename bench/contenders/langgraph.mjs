/** LangGraph without a checkpointer: its fastest setting, and the fair one beside runs that write nothing to disk. */
import { Annotation, END, Send, START, StateGraph } from '@langchain/langgraph';
import { range, timed, verify, verifyChain, verifyFanOut } from '../lib/measure.mjs';

const Value = Annotation.Root({ x: Annotation() });

/** One graph node per step. */
export async function chain({ n }) {
  const build = await timed(() => {
    const graph = new StateGraph(Value);
    for (let i = 0; i < n; i += 1) graph.addNode(`t${i}`, async ({ x }) => ({ x: x + 1 }));
    graph.addEdge(START, 't0');
    for (let i = 1; i < n; i += 1) graph.addEdge(`t${i - 1}`, `t${i}`);
    graph.addEdge(`t${n - 1}`, END);
    return graph.compile();
  });
  const { ms, value } = await timed(() => build.value.invoke({ x: 0 }, { recursionLimit: n + 10 }));
  verifyChain(value.x, n);
  return { ms, buildMs: build.ms };
}

/** One node that leads back to itself. */
export async function loop({ n }) {
  const build = await timed(() =>
    new StateGraph(Value)
      .addNode('step', async ({ x }) => ({ x: x + 1 }))
      .addEdge(START, 'step')
      .addConditionalEdges('step', ({ x }) => (x < n ? 'step' : END), ['step', END])
      .compile(),
  );
  const { ms, value } = await timed(() => build.value.invoke({ x: 0 }, { recursionLimit: n + 10 }));
  verifyChain(value.x, n);
  return { ms, buildMs: build.ms };
}

/** One `Send` per item. The reducer appends in place: a copying one would add a quadratic cost of its own. */
export async function fanOut({ n, concurrency }) {
  const State = Annotation.Root({
    items: Annotation(),
    outputs: Annotation({
      reducer: (all, more) => {
        all.push(...more);
        return all;
      },
      default: () => [],
    }),
  });
  const build = await timed(() =>
    new StateGraph(State)
      .addNode('item', async ({ item }) => ({ outputs: [item + 1] }))
      .addConditionalEdges(START, ({ items }) => items.map((item) => new Send('item', { item })), ['item'])
      .addEdge('item', END)
      .compile(),
  );
  const input = { items: range(n) };
  const { ms, value } = await timed(() => build.value.invoke(input, { maxConcurrency: concurrency, recursionLimit: 100 }));
  verifyFanOut(value.outputs.toSorted((a, b) => a - b), n);
  return { ms, buildMs: build.ms };
}

export async function diamond({ runs }) {
  const State = Annotation.Root({ x: Annotation(), b: Annotation(), c: Annotation() });
  const build = await timed(() =>
    new StateGraph(State)
      .addNode('left', async ({ x }) => ({ b: x * 2 }))
      .addNode('right', async ({ x }) => ({ c: x * 3 }))
      .addNode('first', async ({ x }) => ({ x: x + 1 }))
      .addNode('join', async ({ b, c }) => ({ x: b + c }))
      .addNode('last', async ({ x }) => ({ x: x - 5 }))
      .addEdge(START, 'first')
      .addEdge('first', 'left')
      .addEdge('first', 'right')
      .addEdge(['left', 'right'], 'join')
      .addEdge('join', 'last')
      .addEdge('last', END)
      .compile(),
  );
  const { ms } = await timed(async () => {
    for (let i = 0; i < runs; i += 1) {
      const { x } = await build.value.invoke({ x: i });
      verify(x === 5 * i, `run ${i} gave ${x}`);
    }
  });
  return { ms, buildMs: build.ms };
}
