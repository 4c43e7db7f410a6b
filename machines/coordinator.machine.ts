/**
 * The states of a coordinator: it dispatches the units of one run to workers, and collects their results, by lists.
 *
 * Owns: the statechart. Does not own: the rules by which its context moves (coordinator/), and any effect: its actors
 * `lists` (one command at a time), `results` (the blocking wait), `timers` and `host` (the run) are known to it by name and
 * provided by the runtime.
 *
 * Invariants
 * 1. Pure: the same snapshot and the same event give the same snapshot.
 * 2. One event gives at most one command for each actor, and one command of the lists is outstanding at a time.
 * 3. No error of the lists ends it, but one that trying again cannot mend, and another coordinator.
 * 4. An actor that starts again is told all that it needs; what it had in its hands is looked up in the lists.
 */
import { enqueueActions, fromCallback, setup } from 'xstate';
import { accept, abort, durable, groupsEnded, isDue, plan } from './coordinator/open.ts';
import { heard } from './coordinator/collect.ts';
import { initialCoordinatorContext, type CoordinatorContext, type CoordinatorInput } from './coordinator/context.ts';
import { cancelled, proceed, turned } from './coordinator/dispatch.ts';
import { Draft } from './coordinator/draft.ts';
import { answered, end, noteForeign, startClosing, tellFailed, tellFenced } from './coordinator/ending.ts';
import type { CoordinatorEvent, HostCommand, ListsCommand, TimersCommand, WaitCommand } from './coordinator/events.ts';
import { acquire, acquired, audit, audited, begin, confirm, forgetFence, forgetTaken, forgetWait, gone, hasRead, isForeign, isShifted, lost, read, reopen, reset, scheduleRetry } from './coordinator/reconcile.ts';
import { lookAround, rearm, surveyed, ticked } from './coordinator/survey.ts';

/** Stand where the runtime's actors go: a machine that is only explored needs none. */
const actors = () => ({
  lists: fromCallback<ListsCommand>(() => undefined),
  results: fromCallback<WaitCommand>(() => undefined),
  timers: fromCallback<TimersCommand>(() => undefined),
  host: fromCallback<HostCommand>(() => undefined),
});

interface MachineTypes {
  context: CoordinatorContext;
  events: CoordinatorEvent;
  input: CoordinatorInput;
}

/** What an action of the chart is given. */
interface Scope {
  readonly context: CoordinatorContext;
  readonly event: CoordinatorEvent;
  readonly enqueue: {
    assign(next: () => CoordinatorContext): void;
    sendTo(actor: 'lists' | 'results' | 'timers' | 'host', command: ListsCommand | WaitCommand | TimersCommand | HostCommand): void;
  };
}

/** Lets one rule move the context, and passes its commands on. */
function move({ context, enqueue }: Scope, rule: (draft: Draft) => void): void {
  const draft = new Draft(context);
  rule(draft);
  enqueue.assign(() => draft.done());
  if (draft.lists !== undefined) enqueue.sendTo('lists', draft.lists);
  if (draft.wait !== undefined) enqueue.sendTo('results', draft.wait);
  if (draft.timers !== undefined) enqueue.sendTo('timers', draft.timers);
  if (draft.host !== undefined) enqueue.sendTo('host', draft.host);
}

/** The same for a rule that needs its event. */
function on<T extends CoordinatorEvent['type']>(type: T, rule: (draft: Draft, event: Extract<CoordinatorEvent, { readonly type: T }>) => void): (scope: Scope) => void {
  return (scope) => {
    const { event } = scope;
    if (event.type === type) move(scope, (draft) => rule(draft, event as Extract<CoordinatorEvent, { readonly type: T }>));
  };
}

const always = (rule: (draft: Draft) => void) => (scope: Scope): void => move(scope, rule);

interface Given {
  readonly context: CoordinatorContext;
  readonly event: CoordinatorEvent;
}

const guards = {
  /** It answers a command that was given up. */
  isStale: ({ context, event }: Given) => 'number' in event && event.number !== (event.type === 'LOST' && event.from === 'results' ? context.wait : context.command)?.number,
  /** The blocking wait was not believed any more anyway. */
  isVoidWait: ({ context, event }: Given) => event.type === 'LOST' && event.from === 'results' && context.wait?.live === false,
  isFromTimers: ({ event }: Given) => event.type === 'READY' && event.from === 'timers',
  isFromResults: ({ event }: Given) => event.type === 'READY' && event.from === 'results',
  isFromHost: ({ event }: Given) => event.type === 'READY' && event.from === 'host',
  /** What is planned, or to be cancelled, is durable. */
  isPlannedDurably: ({ context, event }: Given) => event.type === 'PLANNED' && event.revision <= context.durable,
  isDue: ({ context, event }: Given) => event.type === 'DURABLE' && isDue(context, event.revision),
  isNewRun: ({ context, event }: Given) => event.type === 'ACQUIRED' && !context.audited && event.fence.epoch === 1 && event.seq === 0 && event.held === 0,
  /** Another run of the same id was here first. */
  isForeign: ({ context, event }: Given) => event.type === 'ACQUIRED' && isForeign(context, event),
  isForeignAtEnd: ({ context, event }: Given) => event.type === 'ACQUIRED' && context.closing && isForeign(context, event),
  holdsNothing: ({ event }: Given) => event.type === 'ACQUIRED' && event.held === 0,
  isFullPage: ({ context, event }: Given) => event.type === 'READ' && event.arrivals.length >= context.page,
  isShifted: ({ context, event }: Given) => event.type === 'READ' && isShifted(context, event),
  isHopeless: ({ event }: Given) => event.type === 'LOST' && !event.retryable,
  isHopelessAtEnd: ({ context, event }: Given) => event.type === 'LOST' && !event.retryable && context.closing,
  isFenced: ({ context, event }: Given) => event.type === 'REFUSED' && event.status === 'fenced' && !context.confirms,
  isInDoubt: ({ context, event }: Given) => event.type === 'REFUSED' && event.status === 'fenced' && context.confirms,
  /** The token is not there any more. */
  isForgotten: ({ context, event }: Given) => event.type === 'REFUSED' && context.confirms,
  isRefusedAtEnd: ({ context, event }: Given) => event.type === 'REFUSED' && context.closing,
  isFencedAtEnd: ({ context, event }: Given) => event.type === 'REFUSED' && event.status === 'fenced' && context.closing && !context.confirms,
  /** A run that has ended durably has no other owner: whoever has the token now has been overtaken. */
  isDisturbedAtEnd: ({ context, event }: Given) => event.type === 'REFUSED' && event.status === 'fenced' && context.closing && context.confirms,
  isClosing: ({ context }: Given) => context.closing,
  /** What is in the lists stays for whoever resumes the run. */
  leaves: ({ context, event }: Given) => event.type === 'CLOSE' && event.how === 'left' && context.journalled,
  isVolatile: ({ context }: Given) => !context.journalled,
  isBusy: ({ context }: Given) => context.command !== null,
  isIdle: ({ context }: Given) => context.command === null,
  mustReplay: ({ context }: Given) => context.replay && context.command === null,
  mustAudit: ({ context }: Given) => context.auditDue && context.command === null,
};

const parts = () => setup({
  types: {} as MachineTypes,
  actors: actors(),
  actions: {
    open: enqueueActions(on('PLANNED', plan)),
    noteDurable: enqueueActions(on('DURABLE', durable)),
    noteAccepted: enqueueActions(on('ACCEPTED', accept)),
    abort: enqueueActions(on('ABORTED', abort)),
    endGroups: enqueueActions(on('ENDED', groupsEnded)),

    askForTheToken: enqueueActions(always(acquire)),
    askWhoOwnsTheRun: enqueueActions(always(confirm)),
    forgetTheToken: enqueueActions(always(forgetFence)),
    becomeCoordinator: enqueueActions(on('ACQUIRED', acquired)),
    findNothing: enqueueActions(always(begin)),
    readTaken: enqueueActions(always(read)),
    takeBack: enqueueActions(on('READ', hasRead)),
    lookForUnits: enqueueActions(always(audit)),
    reconcile: enqueueActions(on('AUDITED', audited)),

    proceed: enqueueActions(always(proceed)),
    endTurn: enqueueActions(on('TURNED', turned)),
    forgetCancelled: enqueueActions(on('CANCELLED', cancelled)),
    noteWorkers: enqueueActions(on('SURVEYED', surveyed)),
    takeHeard: enqueueActions(on('HEARD', heard)),
    noteTick: enqueueActions(on('TICK', ticked)),
    lookAround: enqueueActions(always(lookAround)),

    noteLoss: enqueueActions(on('LOST', lost)),
    noteForeign: enqueueActions(always(noteForeign)),
    noteGone: enqueueActions(on('REFUSED', gone)),
    doubtTaken: enqueueActions(always(forgetTaken)),
    doubtAll: enqueueActions(always((draft) => reset(draft))),
    reopenDelivered: enqueueActions(always(reopen)),
    doubtWait: enqueueActions(always(forgetWait)),
    armAgain: enqueueActions(always(rearm)),
    scheduleRetry: enqueueActions(always(scheduleRetry)),

    startClosing: enqueueActions(always(startClosing)),
    noteAnswer: enqueueActions(always(answered)),
    cancelAndRelease: enqueueActions(always(end)),
    tellFenced: enqueueActions(always(tellFenced)),
    tellFailed: enqueueActions(always(tellFailed)),
  },
  guards,
});

/** Nothing happens. */
const stale = { guard: 'isStale' } as const;

/** In every state that does not say otherwise. */
const anywhere = {
  PLANNED: { actions: 'open', description: 'The run has planned units.' },
  DURABLE: { actions: 'noteDurable', description: 'A revision of the run is durable.' },
  ACCEPTED: { actions: 'noteAccepted', description: 'The run holds a delivery.' },
  ABORTED: { actions: 'abort', description: 'Nobody wants these any more.' },
  ENDED: { actions: 'endGroups', description: 'Groups have their verdicts.' },
  HEARD: { actions: 'takeHeard', description: 'The blocking wait has ended.' },
  TICK: { actions: 'noteTick' },
  LOST: [
    stale,
    { guard: 'isVoidWait', actions: 'doubtWait' },
    { guard: 'isHopelessAtEnd', target: '.closed' },
    { guard: 'isHopeless', target: '.failed', actions: 'noteLoss' },
    { target: '.reconnect', actions: 'noteLoss' },
  ],
  REFUSED: [
    stale,
    { guard: 'isFencedAtEnd', target: '.closed' },
    { guard: 'isDisturbedAtEnd', target: '.acquire', actions: ['doubtAll', 'forgetTheToken'] },
    { guard: 'isFenced', target: '.fenced' },
    { guard: 'isInDoubt', target: '.confirm', actions: 'doubtAll' },
    { target: '.reconnect', actions: 'noteGone' },
  ],
  READY: [
    { guard: 'isFromTimers', actions: 'armAgain' },
    { guard: 'isFromResults', actions: 'doubtWait' },
    { guard: 'isFromHost', target: '.acquire', actions: ['doubtAll', 'reopenDelivered'] },
    { target: '.acquire', actions: 'doubtAll', description: 'The actor of the lists has started again.' },
  ],
  CLOSE: [{ guard: 'leaves', target: '.closed' }, { target: '.ending', actions: 'startClosing' }],
  GAVE_UP: { guard: 'isClosing', target: '.closed', description: 'The lists cannot be reached to be cleared.' },
} as const;

const working = {
  description: 'Units leave and results come in.',
  initial: 'dispatch',
  always: [{ guard: 'mustReplay', target: 'replay', actions: 'doubtTaken' }, { guard: 'mustAudit', target: 'audit' }],
  on: {
    PLANNED: { actions: ['open', 'proceed'] },
    DURABLE: { actions: ['noteDurable', 'proceed'] },
    ACCEPTED: { actions: ['noteAccepted', 'proceed'] },
    ABORTED: { actions: ['abort', 'proceed'] },
    ENDED: { actions: ['endGroups', 'proceed'] },
    TURNED: [stale, { actions: ['endTurn', 'proceed'] }],
    CANCELLED: [stale, { actions: ['forgetCancelled', 'proceed'] }],
    SURVEYED: [stale, { actions: ['noteWorkers', 'proceed'] }],
    HEARD: { actions: ['takeHeard', 'proceed'] },
    TICK: { actions: ['noteTick', 'lookAround', 'proceed'] },
    LOST: [stale, { guard: 'isVoidWait', actions: ['doubtWait', 'proceed'] }],
    READY: [
      { guard: 'isFromTimers', actions: ['armAgain', 'proceed'] },
      { guard: 'isFromResults', actions: ['doubtWait', 'proceed'] },
      { guard: 'isFromHost', target: 'acquire', actions: ['doubtAll', 'reopenDelivered'] },
      { target: 'acquire', actions: 'doubtAll' },
    ],
  },
  states: {
    dispatch: { description: 'The lists are busy with a turn: units out, results in, or a look at the workers.', always: { guard: 'isIdle', target: 'collect' } },
    collect: { description: 'Waiting for the next result, or for something to do.', always: { guard: 'isBusy', target: 'dispatch' } },
  },
} as const;

const states = {
  idle: {
    description: 'Nothing was planned yet.',
    on: {
      PLANNED: [{ guard: 'isPlannedDurably', target: 'acquire', actions: 'open' }, { actions: 'open' }],
      DURABLE: [{ guard: 'isDue', target: 'acquire', actions: 'noteDurable' }, { actions: 'noteDurable' }],
      READY: {},
      CLOSE: [{ guard: 'leaves', target: 'closed' }, { guard: 'isVolatile', target: 'closed' }, { target: 'acquire', actions: 'startClosing', description: 'An earlier life of the run may have left something.' }],
    },
  },
  acquire: {
    description: 'Becoming the coordinator of the run, at first or again.',
    entry: 'askForTheToken',
    on: {
      ACQUIRED: [
        stale,
        { guard: 'isForeignAtEnd', target: 'closed' },
        { guard: 'isForeign', target: 'failed', actions: 'noteForeign' },
        { guard: 'isClosing', target: 'ending', actions: 'becomeCoordinator' },
        { guard: 'isNewRun', target: 'working', actions: ['becomeCoordinator', 'findNothing', 'proceed'] },
        { guard: 'holdsNothing', target: 'audit', actions: 'becomeCoordinator' },
        { target: 'replay', actions: 'becomeCoordinator' },
      ],
      REFUSED: [
        stale,
        { guard: 'isDisturbedAtEnd', target: 'acquire', reenter: true, actions: ['doubtAll', 'forgetTheToken'] },
        { guard: 'isRefusedAtEnd', target: 'closed' },
        { guard: 'isFenced', target: 'fenced' },
        { guard: 'isForgotten', target: 'confirm', actions: 'doubtAll' },
        { target: 'reconnect', actions: ['noteGone', 'forgetTheToken'] },
      ],
      CLOSE: [{ guard: 'leaves', target: 'closed' }, { actions: 'startClosing' }],
    },
  },
  confirm: {
    description: 'The token is gone, or another one has it: whose the run is, its store says.',
    entry: 'askWhoOwnsTheRun',
    on: {
      CONFIRMED: { target: 'acquire', actions: 'forgetTheToken' },
      CLOSE: [{ guard: 'leaves', target: 'closed' }, { actions: 'startClosing' }],
    },
  },
  replay: {
    description: 'Reading the results that were taken and are not trimmed.',
    entry: 'readTaken',
    on: {
      READ: [stale, { guard: 'isShifted', target: 'replay', reenter: true, actions: 'doubtTaken' }, { guard: 'isFullPage', target: 'replay', reenter: true, actions: 'takeBack' }, { target: 'audit', actions: 'takeBack' }],
    },
  },
  audit: {
    description: 'Looking for every open unit; the missing ones will leave again.',
    entry: 'lookForUnits',
    on: { AUDITED: [stale, { target: 'working', actions: ['reconcile', 'proceed'] }] },
  },
  working,
  reconnect: {
    description: 'The lists cannot be used for now; trying again soon, for ever.',
    entry: 'scheduleRetry',
    on: {
      RETRY: 'acquire',
      READY: [
        { guard: 'isFromTimers', actions: ['armAgain', 'scheduleRetry'] },
        { guard: 'isFromResults', actions: 'doubtWait' },
        { guard: 'isFromHost', target: 'acquire', actions: ['doubtAll', 'reopenDelivered'] },
        { target: 'acquire', actions: 'doubtAll' },
      ],
      CLOSE: [{ guard: 'leaves', target: 'closed' }, { actions: 'startClosing' }],
    },
  },
  ending: {
    description: 'The run is over: what is out there is cancelled, and its keys are removed.',
    entry: 'cancelAndRelease',
    on: {
      TURNED: [stale, { actions: ['noteAnswer', 'cancelAndRelease'] }],
      READ: [stale, { actions: ['noteAnswer', 'cancelAndRelease'] }],
      AUDITED: [stale, { actions: ['noteAnswer', 'cancelAndRelease'] }],
      CANCELLED: [stale, { actions: ['noteAnswer', 'cancelAndRelease'] }],
      SURVEYED: [stale, { actions: ['noteAnswer', 'cancelAndRelease'] }],
      RELEASED: [stale, { target: 'closed' }],
      HEARD: {},
      CLOSE: {},
    },
  },
  fenced: { type: 'final', description: 'Another coordinator owns the run.', entry: 'tellFenced' },
  failed: { type: 'final', description: 'The lists cannot be used, and trying again would not help.', entry: 'tellFailed' },
  closed: { type: 'final' },
} as const;

/** The coordinator machine; the actors are provided by whoever runs it. */
export function createCoordinatorMachine() {
  return parts().createMachine({
    id: 'coordinator',
    context: ({ input }) => initialCoordinatorContext(input),
    invoke: [{ src: 'lists', id: 'lists' }, { src: 'results', id: 'results' }, { src: 'timers', id: 'timers' }, { src: 'host', id: 'host' }],
    initial: 'idle',
    on: anywhere,
    states,
  });
}

export type CoordinatorMachine = ReturnType<typeof createCoordinatorMachine>;
