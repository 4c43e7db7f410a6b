/** The app's own machine. It invokes the workflow's machine like any other; its snapshot holds the run's. */
import { assign, sendTo, setup } from 'xstate';
import { primes, progress } from './workflow.ts';

export interface Counted { below: number; primes: number; note: string }

interface Context {
  below: number;
  /** Of the run, as its latest snapshot tells. */
  phase: string;
  spans: number;
  done: number;
  primes: number;
  kept: Counted[];
  problem: string;
}

type Event =
  | { type: 'START'; below: number }
  | { type: 'PAUSE' | 'RESUME' | 'STOP' }
  | { type: 'KEEP'; note: string };

export const app = setup({
  types: {} as { context: Context; events: Event },
  actors: { primes: primes.machine },
}).createMachine({
  id: 'app',
  initial: 'idle',
  context: { below: 0, phase: '', spans: 0, done: 0, primes: 0, kept: [], problem: '' },
  on: {
    START: { target: '.counting', actions: assign(({ event }) => ({ below: event.below, phase: '', spans: 0, done: 0, primes: 0, problem: '' })) },
  },
  states: {
    idle: {},
    counting: {
      invoke: {
        id: 'run',
        src: 'primes',
        input: ({ context }) => context.below,
        // With every snapshot of the run, the app has a new one as well: what is saved is never older than what is shown.
        onSnapshot: {
          actions: assign(({ event: { snapshot } }) => {
            const { channel } = snapshot.context;
            const number = ({ name }: { name: string }) => Number(channel[name] ?? 0);
            return { phase: String(snapshot.value), spans: number(progress.spans), done: number(progress.done), primes: number(progress.primes) };
          }),
        },
        onDone: { target: 'idle', actions: assign({ kept: ({ context, event }) => [...context.kept, { below: context.below, ...event.output }] }) },
        onError: { target: 'idle', actions: assign({ problem: ({ event }) => (event.error instanceof Error ? event.error.message : String(event.error)) }) },
      },
      on: {
        PAUSE: { actions: sendTo('run', { type: 'PAUSE' }) },
        RESUME: { actions: sendTo('run', { type: 'RESUME' }) },
        KEEP: { actions: sendTo('run', ({ event }) => ({ type: 'SIGNAL', name: 'note', value: event.note })) },
        STOP: 'idle', // leaving the state stops the run
      },
    },
  },
});
