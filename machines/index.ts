/** The pure machines: to embed, extend, explore or draw. */
export { createExecutionContextMachine, type ExecutionContextMachine } from './execution-context.machine.ts';
export { MACHINE_VERSION } from './execution-context/context.ts';
export { planOf, type Plan } from './execution-context/plan.ts';
export { step, type Step } from './execution-context/step.ts';
export { initialContext, executionKey } from './execution-context/context.ts';
export { cellOf, isValue, type Cell, type Value } from './execution-context/cells.ts';
export type { Delayed, ExecutionContext, Group, Handed, Owner, RunFacts, RunLimits, Running, Scope, Token, Verdict, Waiting } from './execution-context/context.ts';
export type {
  ArmCommand, ExecuteCommand, ExecutionEvent, MemberReport, Outcome, RangeReport, RangeStart, Report, Start, Target, TokenReport, UnitOutcome, UnitStart,
} from './execution-context/events.ts';
export type { ChannelOperation } from './execution-context/channel-operation.ts';
export { branchContext, branchOutcome, revivedBranch, type BranchStart } from './execution-context/branch.ts';
export * as Fifo from './execution-context/queue.ts';
export * as Vec from './execution-context/vec.ts';
export { createCoordinatorMachine, type CoordinatorMachine } from './coordinator.machine.ts';
export { defaultSettings as defaultCoordinatorSettings, type CoordinatorContext, type CoordinatorInput, type CoordinatorSettings } from './coordinator/context.ts';
export { unitsWaiting } from './coordinator/survey.ts';
export type { Accepted, Arrival, ArrivedResult, CoordinatorEvent, Fence, HostCommand, ListsCommand, ListsEvent, PlannedGroup, PlannedUnit, PushPart, TimersCommand, UnitRef, WaitCommand } from './coordinator/events.ts';
export { createWorkerMachine, type WorkerMachine } from './worker.machine.ts';
export { workerStep } from './worker/step.ts';
export { initialWorker, workerState, type Held, type Place, type WorkerContext, type WorkerSettings, type WorkerState, type WorkerVerdict } from './worker/context.ts';
export type { AlarmCommand, CallCommand, ClaimedUnit, SlotAck, StepAnswer, UnitEnd, UnitsCommand, WaitCommand as WaitUnitCommand, WorkerCall, WorkerEvent } from './worker/events.ts';
export type { WorkerStep } from './worker/draft.ts';
