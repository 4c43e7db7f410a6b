/**
 * A whole system of one seed: runs and their owners, workers, the server, the store, and an operator who starts what has died.
 *
 * Owns: who lives, what happens at a point, what is given from outside. Does not own: what is wrong (ledger.ts, oracle.ts,
 * verdict.ts).
 *
 * Invariant: everything of ours that runs, runs in the turn of a process; `current` is that process.
 */
import { SimulatedServer, unreachable, type SimulatedCall } from '../../src/adapters/simulated/lists.ts';
import type { TaskContext } from '../../src/define/context.ts';
import type { Environment, Fence } from '../../src/ports.ts';
import { RemoteLink, type Link } from '../../src/runtime/remote/link.ts';
import { postMessage } from '../../src/runtime/mailbox.ts';
import type { Run } from '../../src/runtime/run.ts';
import { RedisTaskQueue } from '../../src/runtime/worker/queue.ts';
import { TaskWorker } from '../../src/runtime/worker/worker.ts';
import { seededRandom } from '../../src/testing.ts';
import { Vec, type WorkerVerdict } from '../../machines/index.ts';
import { Draw, seedOf } from './draw.ts';
import { completed, emptyRegistry, executionName, failed, isAnswered, type Expected, type Outcome } from './expected.ts';
import { Faults, serverPoint, type Action } from './faults.ts';
import { answerTo, buildGraph, type SimWorkflow, type Stage } from './graphs.ts';
import { Kernel, type Lane } from './kernel.ts';
import { Ledger } from './ledger.ts';
import { Oracle } from './oracle.ts';
import type { Plan, PlannedRun, PlannedWorker } from './plan.ts';
import { Process, labelOf, type Role } from './process.ts';
import { Disk } from './store.ts';

export interface Execution {
  readonly name: string;
  readonly key: string;
  readonly role: Role;
}

/** A run, through all of its lives. */
export interface SimRun {
  readonly plan: PlannedRun;
  readonly expected: Expected;
  readonly workflow: SimWorkflow;
  readonly oracle: Oracle | undefined;
  /** Who has opened it last, or has started it where it has no store. */
  owner: Process | undefined;
  handle: Run<unknown> | undefined;
  /** Who is to go on with it. */
  wanted: Process | undefined;
  /** Times that somebody became its owner. */
  lives: number;
  told: Outcome | undefined;
  /** Gone with its process. */
  isLost: boolean;
  /** Its end was told, and its process died before it had cleared the lists. */
  isLeft: boolean;
  cancelledAt: number | undefined;
  readonly executions: Execution[];
  readonly answered: Set<string>;
}

export interface SimWorker {
  readonly plan: PlannedWorker;
  readonly process: Process;
  readonly worker: TaskWorker;
  isDraining: boolean;
  verdict: WorkerVerdict | undefined;
}

const POLL_MS = 100;

export class World {
  readonly plan: Plan;
  readonly kernel: Kernel;
  readonly server: SimulatedServer;
  readonly disk: Disk;
  readonly faults: Faults;
  readonly ledger: Ledger;
  readonly problems: string[] = [];
  readonly runs: SimRun[] = [];
  readonly workers: SimWorker[] = [];
  readonly #draw: Draw;
  readonly #operator: Lane;
  readonly #processes = new Map<Lane, Process>();
  readonly #processNames = new Map<string, Process>();
  readonly #environment: Environment;
  readonly #ids: Draw;
  readonly #lostWrites = new Set<Process>();
  /** Workers to whom something has happened; `*` for all. */
  readonly #disturbed = new Set<string>();
  #count = 0;
  /** When the server was last stopped or stalled, and until when. */
  downUntil = 0;
  /** Forced drains: what was under way then is executed again. */
  forced = 0;
  /** Processes that began with the id of one that was only stopped: that one executes what it finds in its slots, until it hears. */
  twins = 0;
  /** The lists have lost something. */
  losses = 0;

  constructor(plan: Plan, expected: readonly Expected[], print?: (line: string) => void) {
    const { seed } = plan;
    this.plan = plan;
    this.kernel = new Kernel(seedOf(seed, 'turns'), plan.drift);
    this.kernel.print = print;
    this.#draw = new Draw(seedOf(seed, 'world'));
    this.#ids = new Draw(seedOf(seed, 'ids'));
    this.#operator = this.kernel.lane('operator');
    this.faults = new Faults(plan.faults);
    this.server = new SimulatedServer({ clock: this.kernel.lane('server'), remember: 12, deadlineMs: 2000 });
    this.disk = new Disk(this.#diskHost());
    this.ledger = new Ledger(this.#ledgerHost());
    this.#environment = this.#makeEnvironment();
    this.#wireServer();
    emptyRegistry();
    plan.runs.forEach((run, at) => this.#addRun(run, expected[at] as Expected));
    for (const run of this.runs) this.#operator.after(run.plan.startAt, () => this.#start(run));
    for (const worker of plan.workers) this.#operator.after(worker.startAt, () => this.#startWorker(worker));
    this.#operator.after(plan.faultsEndMs, () => this.#stopFaults());
    this.#poll();
  }

  say(problem: string): void {
    if (this.problems.length < 20) this.problems.push(problem);
    this.kernel.note(`PROBLEM ${problem}`);
  }

  get isDone(): boolean {
    return this.runs.every((run) => run.told !== undefined || run.isLost);
  }

  /** Nothing more goes wrong: everyone lives, somebody owns each run, somebody serves each queue. */
  calmDown(): void {
    this.#stopFaults();
  }

  live(queue: 'default' | 'other'): readonly SimWorker[] {
    return this.workers.filter(({ plan, process, verdict, isDraining }) => plan.queue === queue && !process.isDead && verdict === undefined && !isDraining);
  }

  /** Tells all workers to leave. */
  leaveAll(): void {
    for (const worker of this.workers) if (!worker.process.isDead && worker.verdict === undefined) this.#drain(worker, false);
  }

  get current(): Process | undefined {
    return this.#processes.get(this.kernel.current);
  }

  // --- processes

  #process(role: Role, name: string): Process {
    this.#count += 1;
    const { skewMs } = this.plan;
    const skew = skewMs === 0 ? 0 : this.#draw.between(-skewMs, skewMs);
    const process = new Process({ kernel: this.kernel, server: this.server, reached: (who, point) => this.#reached(who, point) }, role, `${name}#${this.#count}`, skew);
    this.#processes.set(process.lane, process);
    this.#processNames.set(process.name, process);
    this.kernel.note(`${process.name} begins`);
    return process;
  }

  #kill(process: Process, lost: boolean, backMs: number): void {
    if (process.isDead) return;
    this.kernel.note(`${process.name} dies`);
    this.#disturb(process);
    if (lost) this.#lostWrites.add(process);
    process.kill();
    for (const client of process.clients) if (lost) client.cut({ zombies: this.#draw.chance(0.3) });
    // Also one that only wanted to become an owner is followed by another.
    for (const run of this.runs) if (run.owner === process || (run.wanted === process && run.owner?.isDead !== false)) this.#ownerDied(run, backMs);
    const worker = this.workers.find((one) => one.process === process);
    if (worker !== undefined) this.#workerGone(worker, backMs);
  }

  #ownerDied(run: SimRun, backMs: number): void {
    run.handle = undefined;
    if (run.plan.volatile) {
      if (run.told === undefined) run.isLost = true;
      else run.isLeft = true;
    } else if (run.told !== undefined) run.isLeft = true;
    else this.#operator.after(backMs, () => this.#takeOver(run));
  }

  #workerGone({ plan }: SimWorker, backMs: number): void {
    const sameId = this.#draw.chance(0.4);
    const again = this.faults.stopped || this.#draw.chance(0.7);
    if (again) this.#operator.after(backMs, () => this.#startWorker(sameId ? plan : this.#another(plan)));
  }

  #another(plan: PlannedWorker): PlannedWorker {
    return { ...plan, id: `${plan.id.charAt(0)}${this.#count + 10}` };
  }

  #pause(process: Process, ms: number, second: boolean): void {
    if (!process.isLive) return;
    this.kernel.note(`${process.name} stops for ${ms}`);
    this.#disturb(process);
    process.pause();
    this.#operator.after(ms, () => this.#goOn(process));
    if (!second) return;
    for (const run of this.runs) if (run.owner === process && !run.plan.volatile) this.#operator.after(Math.floor(ms * this.#draw.next()), () => this.#takeOver(run));
    const worker = this.workers.find((one) => one.process === process);
    if (worker !== undefined) this.#operator.after(Math.floor(ms * this.#draw.next()), () => this.#startWorker(worker.plan));
  }

  #goOn(process: Process): void {
    if (process.isDead || !process.isPaused) return;
    this.kernel.note(`${process.name} goes on`);
    process.goOn();
  }

  #disturb(process: Process): void {
    const worker = this.workers.find((one) => one.process === process);
    if (worker !== undefined) this.#disturbed.add(worker.plan.id);
  }

  // --- what happens

  #reached(process: Process, point: string): void {
    const action = this.faults.at(point);
    if (action !== undefined) this.#do(action, process, point);
  }

  #do(action: Action, process: Process | undefined, point: string): void {
    this.kernel.note(`FAULT ${action.do} at ${point} (${process?.name ?? 'server'})`);
    switch (action.do) {
      case 'kill':
        return process && this.#kill(process, action.lost, action.backMs);
      case 'pause':
        return process && this.#pause(process, action.ms, action.second);
      case 'restart':
        return this.#restart(action.lost, action.downMs);
      case 'flush':
        this.#disturbed.add('*');
        this.losses += 1;
        this.server.flush();
        return this.ledger.lost();
      case 'stall':
        return this.#stall(action.ms);
      case 'cutAll':
        this.#disturbed.add('*');
        return this.server.cut({ zombies: action.zombies });
      case 'drain':
        return this.#drain(this.#someone(), action.again);
      case 'join':
        return this.#startWorker(this.#another(this.#draw.pick(this.plan.workers)));
      case 'takeOver':
        return this.#takeOver(this.#draw.pick(this.runs));
      case 'strike':
        return this.#strike(action);
    }
  }

  #strike({ role, ms, backMs }: Extract<Action, { do: 'strike' }>): void {
    const process = role === 'worker' ? this.#someone()?.process : this.#draw.pick(this.runs).owner;
    if (process === undefined || process.isDead) return;
    if (ms === 0) this.#kill(process, this.#draw.chance(0.5), backMs);
    else this.#pause(process, ms, this.#draw.chance(0.5));
  }

  #someone(): SimWorker | undefined {
    const live = this.workers.filter(({ process, verdict }) => !process.isDead && verdict === undefined);
    return live.length === 0 ? undefined : this.#draw.pick(live);
  }

  #restart(lost: number, downMs: number): void {
    this.#disturbed.add('*');
    if (lost > 0) {
      this.losses += 1;
      // What had been cleared may be back, and nobody knows of it.
      for (const run of this.runs) if (run.told !== undefined || run.oracle?.isOver === true) run.isLeft = true;
    }
    this.server.stop();
    this.downUntil = this.kernel.now + downMs;
    const start = (): void => {
      this.kernel.note('the server is up');
      this.server.start(lost);
      this.ledger.lost();
    };
    if (downMs === 0) start();
    else this.#operator.after(downMs, start);
  }

  #stall(ms: number): void {
    this.#disturbed.add('*');
    this.downUntil = this.kernel.now + ms;
    this.server.pause();
    this.#operator.after(ms, () => this.server.resume());
  }

  #drain(worker: SimWorker | undefined, again: boolean): void {
    if (worker === undefined || worker.process.isDead || worker.isDraining) return;
    const { process } = worker;
    this.kernel.note(`${process.name} is told to drain`);
    worker.isDraining = true;
    const tell = (): void => process.post(() => void worker.worker.drain().catch(() => undefined));
    tell();
    // What has not ended by then is given back, and what was being executed begins again elsewhere.
    this.forced += 1;
    this.#disturb(process);
    if (again) this.#operator.after(this.#draw.int(100), tell);
    if (!this.faults.stopped) this.#operator.after(this.#draw.int(300), () => this.#startWorker(this.#another(worker.plan)));
  }

  #stopFaults(): void {
    if (this.faults.stopped) return;
    this.kernel.note('nothing goes wrong any more');
    this.faults.stop();
    for (const process of this.#processNames.values()) this.#goOn(process);
    const { workers } = this.plan;
    for (const queue of ['default', 'other'] as const) {
      const plan = workers.find((worker) => worker.queue === queue);
      if (plan !== undefined && this.live(queue).length === 0) this.#startWorker(this.#another(plan));
    }
  }

  // --- the server and the store

  #wireServer(): void {
    const { server } = this;
    server.executed = (call) => {
      if (call.name === 'acquire') this.#acquired(call);
      if (call.name === 'register') this.ledger.registers((call.request as { readonly worker: string }).worker);
      this.kernel.note(`${call.client} ${lineOf(call)}`);
      this.ledger.executed(call);
      const action = this.faults.at(serverPoint);
      if (action !== undefined) this.#do(action, undefined, serverPoint);
    };
    const wire = (call: SimulatedCall, when: 'before' | 'after'): { error: Error; lateMs?: number } | undefined => {
      const process = this.#processNames.get(call.client.split('/')[0] ?? '');
      if (process === undefined) return undefined;
      const action = this.faults.at(`wire ${process.role} ${when} ${labelOf(call.name, call.request)}`);
      if (action === undefined) return undefined;
      this.kernel.note(`FAULT ${action.do} on the way ${when} ${call.name} of ${call.client}`);
      this.#disturb(process);
      const error = unreachable();
      if (action.do === 'late') return { error, lateMs: action.ms };
      if (action.do === 'cut') process.clients.find(({ name }) => name === call.client)?.cut({ zombies: action.zombies });
      return { error };
    };
    server.faults = {
      before: (call) => {
        const fault = wire(call, 'before');
        const { netMs } = this.plan;
        return netMs === 0 ? fault : { ...fault, delayMs: this.#draw.int(netMs + 1) };
      },
      after: (call) => wire(call, 'after'),
      signal: () => this.#hint(),
    };
  }

  /** Who was overtaken between its last durable write and this call hears of that with its next write, and until then dispatches what it knows. */
  #acquired({ client, request }: SimulatedCall): void {
    const process = this.#processNames.get(client.split('/')[0] ?? '');
    const run = this.#runOf((request as { readonly run: string }).run);
    if (run !== undefined && run.owner !== process) this.#disturbed.add('*');
  }

  #hint(): readonly number[] | undefined {
    if (this.faults.stopped) return undefined;
    switch (this.plan.hints) {
      case 'kept':
        return undefined;
      case 'lost':
        return [];
      case 'doubled':
        return [0, this.#draw.int(50)];
      case 'late':
        return [this.#draw.int(800)];
      case 'mixed':
        return Array.from({ length: this.#draw.int(3) }, () => this.#draw.int(300));
    }
  }

  #diskHost(): ConstructorParameters<typeof Disk>[0] {
    return {
      lane: this.kernel.lane('disk'),
      writeMs: () => this.#draw.int(this.plan.diskMs + 1),
      onWrite: (process, what) => {
        const action = this.faults.at(`store ${what}`);
        if (action !== undefined) this.kernel.note(`FAULT ${action.do} at ${what} of ${process.name}`);
        return action;
      },
      opened: (process, runId) => this.#opened(process, runId),
      appended: (runId, entries) => {
        this.kernel.note(`disk ${runId} append ${entries.join(' ')}`);
        this.#runOf(runId)?.oracle?.appended(entries);
      },
      saved: (runId, checkpoint, revision) => {
        this.kernel.note(`disk ${runId} save ${revision}`);
        this.#runOf(runId)?.oracle?.saved(checkpoint, revision);
      },
      isLost: (process) => this.#lostWrites.has(process),
      tear: (process, { backMs }) => this.#kill(process, true, backMs),
    };
  }

  #opened(process: Process, runId: string): void {
    const run = this.#runOf(runId);
    if (run === undefined) return;
    this.kernel.note(`${process.name} owns ${runId}`);
    run.owner = process;
    run.handle = undefined;
    run.lives += 1;
    if (process.isDead) this.#ownerDied(run, 0);
  }

  #ledgerHost(): ConstructorParameters<typeof Ledger>[0] {
    const { server } = this;
    return {
      server,
      say: (problem) => this.say(problem),
      stateOf: (run, group, index, generation) => this.#runOf(run)?.oracle?.stateOf(group, index, generation),
      isOver: (run) => this.#runOf(run)?.oracle?.isOver,
      nameOf: (run) => this.#runOf(run)?.plan.id ?? run,
      isDisturbed: (worker) => this.#disturbed.has('*') || (worker === undefined ? this.#disturbed.size > 0 : this.#disturbed.has(worker)),
      hasLost: () => this.losses > 0,
      givesBack: (worker) => this.workers.some(({ plan, isDraining }) => plan.id === worker && isDraining),
    };
  }

  /** By its id, or by its key in the lists: a run without a journal, and a group inside of a branch, have other keys. */
  #runOf(name: string): SimRun | undefined {
    return this.runs.find(({ plan, oracle }) => {
      if (plan.id === name) return true;
      const startedAt = oracle?.context?.run?.startedAt;
      if (startedAt === undefined) return false;
      const key = `${plan.id}~${startedAt.toString(36)}`;
      return name === key || name.startsWith(`${key}~`);
    });
  }

  // --- runs

  #makeEnvironment(): Environment {
    const random = seededRandom(seedOf(this.plan.seed, 'random'));
    const lane = (): Lane => this.kernel.current;
    return {
      clock: { now: () => lane().now(), after: (ms, fire) => lane().after(ms, fire), soon: (run) => lane().soon(run) },
      random,
      newId: () => `i${this.#ids.int(1e9).toString(36)}`,
      owner: { host: 'simulated', pid: 1 },
      backends: {},
      connect: () => (this.current as Process).connect(),
      remote: (link: Link) => new RemoteLink(link, this.plan.coordinator),
    };
  }

  #addRun(plan: PlannedRun, expected: Expected): void {
    const executions: Execution[] = [];
    const answered = new Set<string>();
    const workflow = buildGraph(plan.flow, plan.graph, this.#environment, this.#stage(executions));
    const oracle = plan.volatile ? undefined : new Oracle(plan.id, workflow, {
      say: (problem) => this.say(problem),
      hasResult: (unit) => this.ledger.results.has(`${plan.id} ${unit}`),
      looks: () => this.plan.seed % 4 === 0,
    });
    const run: SimRun = { plan, expected, workflow, oracle, owner: undefined, handle: undefined, wanted: undefined, lives: 0, told: undefined, isLost: false, isLeft: false, cancelledAt: undefined, executions, answered };
    this.runs.push(run);
    for (const [name, times] of expected.signals) {
      if (name.startsWith('ask-')) continue;
      for (let left = times; left > 0; left -= 1) this.#operator.after(this.#draw.int(2500), () => this.#post(run, { kind: 'signal', name, value: answerTo(name) }));
    }
    if (plan.cancelAt !== undefined) {
      this.#operator.after(plan.startAt + plan.cancelAt, () => {
        run.cancelledAt = this.kernel.now;
        this.#post(run, { kind: 'cancel' });
      });
    }
  }

  #post({ plan, told }: SimRun, message: Parameters<typeof postMessage>[2]): void {
    if (told !== undefined) return;
    this.kernel.note(`post ${plan.id} ${JSON.stringify(message)}`);
    void postMessage(this.disk.store, plan.id, message);
  }

  #stage(executions: Execution[]): Stage {
    const note = (name: string, { idempotencyKey: key }: TaskContext<unknown>): Process | undefined => {
      const process = this.current;
      if (process === undefined || process.isDead) return undefined;
      this.kernel.note(`${process.name} executes ${name}`);
      executions.push({ name, key, role: process.role });
      return process;
    };
    return {
      begins: (id, ctx, input) => {
        const process = note(executionName(id, ctx, input), ctx);
        if (process !== undefined) this.#reached(process, `${process.role} begins task`);
      },
      answered: (id, ctx) => void note(`${executionName(id, ctx, undefined)} answered`, ctx),
      spend: (ms) => {
        const lane = this.kernel.current;
        return new Promise((resolve) => void lane.after(ms, resolve));
      },
      ends: () => {
        const process = this.current;
        if (process !== undefined && !process.isDead) this.#reached(process, `${process.role} ends task`);
      },
    };
  }

  #start(run: SimRun): void {
    const process = this.#process('coordinator', run.plan.id);
    run.wanted = process;
    if (run.plan.volatile) {
      run.owner = process;
      run.lives += 1;
    }
    process.post(() => this.#startIn(process, run));
  }

  #startIn(process: Process, run: SimRun): void {
    const { plan, workflow } = run;
    const handle = workflow.start(plan.graph.input, { runId: plan.id, ...(!plan.volatile && { store: this.disk.for(process) }) });
    this.#watch(process, run, handle);
  }

  /** Somebody goes on with the run, whether its owner is dead or not. */
  #takeOver(run: SimRun): void {
    if (run.plan.volatile || run.told !== undefined || (run.owner === undefined && this.kernel.elapsedMs < run.plan.startAt + 1)) return;
    const process = this.#process('coordinator', run.plan.id);
    run.wanted = process;
    process.post(() => void this.#resumeIn(process, run));
  }

  async #resumeIn(process: Process, run: SimRun): Promise<void> {
    try {
      this.#watch(process, run, await run.workflow.resume(this.disk.for(process), run.plan.id));
    } catch (thrown) {
      if (process.isDead) return;
      const { code, message } = failed(thrown);
      this.kernel.note(`${process.name} cannot resume ${run.plan.id}: ${message}`);
      // Its first owner died before anything of it was stored.
      if (code === 'checkpoint/unknown-run') return this.#startIn(process, run);
      this.say(`run ${run.plan.id} cannot be resumed: ${message}`);
    }
  }

  #watch(process: Process, run: SimRun, handle: Run<unknown>): void {
    if (run.owner === process || run.owner === undefined) run.handle = handle;
    handle.result.then((output) => this.#ended(process, run, completed(output)), (error: unknown) => this.#ended(process, run, failed(error)));
  }

  #ended(process: Process, run: SimRun, outcome: Outcome): void {
    if (process.isDead) return;
    const { plan, oracle } = run;
    const newest = run.owner === process;
    this.kernel.note(`${process.name} ends ${plan.id}: ${JSON.stringify(outcome)}`);
    if (outcome.kind === 'failed' && outcome.code === 'checkpoint/no-space') return newest ? this.#stranded(run) : undefined;
    if (outcome.kind === 'failed' && superseded.has(outcome.code)) {
      // Two have started it, and neither could know: it is there to be resumed.
      if (newest && outcome.code === 'checkpoint/exists') return this.#stranded(run);
      if (newest) this.say(`run ${plan.id}: its newest owner ${process.name} was stopped by ${outcome.code}: ${outcome.message}`);
      return;
    }
    if (oracle !== undefined && !oracle.isOver) this.say(`run ${plan.id}: ${process.name} has told an end that is not durable`);
    run.told ??= outcome;
    if (run.told !== outcome && JSON.stringify(run.told) !== JSON.stringify(outcome)) this.say(`run ${plan.id}: two ends were told: ${JSON.stringify(run.told)}, then ${JSON.stringify(outcome)}`);
  }

  /** Its owner is well, but cannot go on with it. */
  #stranded(run: SimRun): void {
    run.owner = undefined;
    run.handle = undefined;
    this.#operator.after(this.#draw.int(300), () => run.owner === undefined && this.#takeOver(run));
  }

  // --- workers

  #startWorker(plan: PlannedWorker): void {
    const process = this.#process('worker', plan.id);
    if (this.workers.some((other) => other.plan.id === plan.id && other.process.isPaused && !other.process.isDead)) this.twins += 1;
    process.post(() => {
      const { leaseMs, waitMs, drainMs, deliveries } = this.plan;
      const queue = new RedisTaskQueue(plan.queue, process.connect());
      const worker = new TaskWorker({ queue, id: plan.id, concurrency: plan.slots, leaseMs, waitMs, drainMs, deliveries }, this.#environment);
      const entry: SimWorker = { plan, process, worker, isDraining: false, verdict: undefined };
      this.workers.push(entry);
      worker.start().catch(() => undefined);
      void worker.ended.then((verdict) => this.#workerEnded(entry, verdict));
    });
  }

  #workerEnded(entry: SimWorker, verdict: WorkerVerdict): void {
    const { process, plan, isDraining } = entry;
    if (process.isDead) return;
    entry.verdict = verdict;
    this.kernel.note(`${process.name} has ended: ${JSON.stringify(verdict)}`);
    if (verdict.kind === 'failed' && !isDraining) this.say(`${process.name} has failed: ${JSON.stringify(verdict.error)}`);
    process.kill();
    for (const client of process.clients) client.cut();
    if (verdict.kind === 'taken' && (!this.faults.stopped || this.live(plan.queue).length === 0)) this.#operator.after(this.plan.leaseMs, () => this.#startWorker(this.#another(plan)));
  }

  // --- the operator looks around

  #poll(): void {
    this.#operator.after(POLL_MS, () => {
      this.#answer();
      if (this.faults.stopped) this.#mend();
      this.#poll();
    });
  }

  /** Answers what the durable runs ask. */
  #answer(): void {
    for (const run of this.runs) {
      const { context } = run.oracle ?? {};
      if (context === undefined || context.verdict !== null) continue;
      for (const [id, { signal, asked }] of Vec.entries(context.waits)) {
        const question = `${id} ${signal}`;
        if (asked !== true || !isAnswered(signal) || run.answered.has(question)) continue;
        run.answered.add(question);
        this.#post(run, { kind: 'signal', name: signal, value: answerTo(signal) });
      }
    }
  }

  /** Once nothing goes wrong any more, nobody stays dead. */
  #mend(): void {
    for (const run of this.runs) if (run.told === undefined && !run.isLost && run.owner === undefined) this.#takeOver(run);
  }
}

const superseded: ReadonlySet<string> = new Set(['checkpoint/conflict', 'run/fenced', 'checkpoint/exists']);

/** What of a call is part of the trace. */
function lineOf({ name, request }: SimulatedCall): string {
  if (typeof request !== 'object' || request === null) return name;
  const { run, worker, batch, units, last, acks, claims, entries, fence, from, most, count } = request as Readonly<Record<string, unknown>>;
  const parts: unknown[] = [name, run ?? worker, (fence as Fence | undefined)?.epoch, batch, from, most, count, (units as string[] | undefined)?.map((unit) => unit.slice(0, 40)), last, (acks as { header: string; kind: string }[] | undefined)?.map(({ header, kind }) => `${kind} ${header}`), claims, entries];
  return parts.filter((part) => part !== undefined).map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ');
}
