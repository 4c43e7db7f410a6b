/** The pure machines: to embed, extend, explore or draw. */
export { createExecutionContextMachine, type ExecutionContextMachine } from './execution-context.machine.ts';
export { MACHINE_VERSION } from './execution-context/context.ts';
export { planOf, type Plan } from './execution-context/plan.ts';
export { step, type Step } from './execution-context/step.ts';
export { initialContext, executionKey } from './execution-context/context.ts';
export { cellOf, type Cell, type Value } from './execution-context/cells.ts';
export type { Delayed, ExecutionContext, Group, Owner, RunFacts, RunLimits, Running, Scope, Token, Verdict, Waiting } from './execution-context/context.ts';
export type {
  ArmCommand, ChannelOperation, ExecuteCommand, ExecutionEvent, MemberReport, Outcome, RangeReport, RangeStart, Report, Start, Target, TokenReport,
} from './execution-context/events.ts';
export * as Fifo from './execution-context/queue.ts';
export * as Vec from './execution-context/vec.ts';
