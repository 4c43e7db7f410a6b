/** Stores for Node: where runs survive their process, to hand to `workflow.start(input, { store })`. */
export { memoryStore } from './adapters/memory-store.ts';
export { fileStore } from './adapters/file/store.ts';
export { sqliteStore } from './adapters/sqlite/store.ts';
export { RedisCheckpointStore } from './adapters/redis/checkpoint-store.ts';
export type { FileStoreOptions } from './adapters/file/store.ts';
export type { SqliteStoreOptions } from './adapters/sqlite/store.ts';
export type { CheckpointStore, RevisionNote, RunNote, RunOwner, RunWriter, StoredRun } from './ports.ts';

// Stored runs, looked at and carried over without running them
export { describeStored } from './runtime/inspect-stored.ts';
export type { StoredFailure, StoredRunDescription, StoredWorkflow } from './runtime/inspect-stored.ts';
export { forkStored } from './runtime/fork-stored.ts';
export type { ForkOptions } from './runtime/fork-stored.ts';
export { convertLegacyCheckpoint } from './runtime/legacy.ts';
export type { LegacyConversion, LegacyFiles, LegacyOptions, LegacyTarget } from './runtime/legacy.ts';
