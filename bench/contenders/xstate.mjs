/**
 * Plain XState, as one writes it without taskchart: a promise child per task.
 *
 * Finished children are stopped, because XState keeps them otherwise and slows down with their number. Outputs are kept
 * outside the machine, which spares it a copy per event: both choices favour XState.
 */
import { assign, createActor, enqueueActions, fromPromise, setup, stopChild, toPromise } from 'xstate';
import { range, timed, verify, verifyChain, verifyFanOut } from '../lib/measure.mjs';

const addOne = fromPromise(async ({ input }) => input.x + 1);

export async function fanOut({ n, concurrency }) {
  const items = range(n);
  const outputs = new Array(n);
  const build = await timed(() => fanOutMachine(items, outputs, concurrency));
  const { ms } = await timed(() => {
    const actor = createActor(build.value);
    const done = toPromise(actor);
    actor.start();
    return done;
  });
  verifyFanOut(outputs, n);
  return { ms, buildMs: build.ms };
}

function fanOutMachine(items, outputs, concurrency) {
  const spawnNext = (context, enqueue) => {
    const index = context.next;
    enqueue.spawnChild('addOne', { id: `task-${index}`, input: { x: items[index] } });
  };
  return setup({ actors: { addOne } }).createMachine({
    context: { next: 0, done: 0 },
    initial: 'running',
    entry: enqueueActions(({ enqueue }) => {
      const first = Math.min(concurrency, items.length);
      for (let i = 0; i < first; i += 1) spawnNext({ next: i }, enqueue);
      enqueue.assign({ next: first });
    }),
    states: {
      running: {
        always: { guard: ({ context }) => context.done === items.length, target: 'completed' },
        on: {
          'xstate.done.actor.*': {
            actions: enqueueActions(({ context, event, enqueue }) => {
              const index = Number(event.actorId.slice('task-'.length));
              outputs[index] = event.output;
              enqueue(stopChild(event.actorId));
              if (context.next < items.length) spawnNext(context, enqueue);
              enqueue.assign({ next: Math.min(context.next + 1, items.length), done: context.done + 1 });
            }),
          },
        },
      },
      completed: { type: 'final' },
    },
  });
}

/** A state that invokes the task and re-enters itself until the value has reached n. */
export async function loop({ n }) {
  const machine = setup({ actors: { addOne } }).createMachine({
    context: { x: 0 },
    initial: 'step',
    output: ({ context }) => context.x,
    states: {
      step: {
        invoke: {
          src: 'addOne',
          input: ({ context }) => ({ x: context.x }),
          onDone: [
            { guard: ({ event }) => event.output >= n, target: 'completed', actions: assign({ x: ({ event }) => event.output }) },
            { target: 'step', reenter: true, actions: assign({ x: ({ event }) => event.output }) },
          ],
        },
      },
      completed: { type: 'final' },
    },
  });
  const { ms, value } = await timed(() => {
    const actor = createActor(machine);
    const done = toPromise(actor);
    actor.start();
    return done;
  });
  verifyChain(value, n);
  return { ms };
}

export async function diamond({ runs }) {
  const machine = diamondMachine();
  const { ms } = await timed(async () => {
    for (let i = 0; i < runs; i += 1) {
      const actor = createActor(machine, { input: i });
      const done = toPromise(actor);
      actor.start();
      const output = await done;
      verify(output === 5 * i, `run ${i} gave ${output}`);
    }
  });
  return { ms };
}

function diamondMachine() {
  const call = (src, input, key, target) => ({
    invoke: { src, input, onDone: { target, actions: assign({ [key]: ({ event }) => event.output }) } },
  });
  const side = (src, key) => ({
    initial: 'busy',
    states: { busy: call(src, ({ context }) => context.x, key, 'done'), done: { type: 'final' } },
  });
  return setup({
    actors: {
      a: fromPromise(async ({ input }) => input + 1),
      b: fromPromise(async ({ input }) => input * 2),
      c: fromPromise(async ({ input }) => input * 3),
      d: fromPromise(async ({ input }) => input.b + input.c),
      e: fromPromise(async ({ input }) => input - 5),
    },
  }).createMachine({
    context: ({ input }) => ({ x: input, b: 0, c: 0 }),
    initial: 'first',
    output: ({ context }) => context.x,
    states: {
      first: call('a', ({ context }) => context.x, 'x', 'sides'),
      sides: { type: 'parallel', onDone: 'join', states: { left: side('b', 'b'), right: side('c', 'c') } },
      join: call('d', ({ context }) => ({ b: context.b, c: context.c }), 'x', 'last'),
      last: call('e', ({ context }) => context.x, 'x', 'completed'),
      completed: { type: 'final' },
    },
  });
}
