/** Watching runs: the summarising inspector, its line to a relay, and the relay itself. */
export { createInspector } from './inspect/inspector.ts';
export type { Inspector, InspectorOptions, Send } from './inspect/inspector.ts';
export { connectInspector } from './inspect/connection.ts';
export type { ConnectOptions, ConnectedInspector } from './inspect/connection.ts';
export { startRelay } from './inspect/relay/server.ts';
export type { Relay, RelayOptions } from './inspect/relay/server.ts';
export type { RedactPattern } from './inspect/redact.ts';

// The stream: what the messages are, and folding them into a picture
export { SystemPicture } from './inspect/fold.ts';
export type { ActorPicture, GroupPicture, Members, RunPicture } from './inspect/fold.ts';
export type { ActorMessage, ControlKind, EventMessage, GraphMessage, GroupMessage, InspectorMessage, RunMessage, SnapshotMessage, StatusMessage, TaskState, TasksMessage, ValuesMessage } from './inspect/messages.ts';
