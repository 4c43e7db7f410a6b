/** What a browser can do of `taskchart/inspect`: everything but being the relay, which is a server. */
import { TaskchartError } from './core/errors.ts';
import type { Relay } from './inspect/relay/server.ts';

export { createInspector } from './inspect/inspector.ts';
export { connectInspector } from './inspect/connection.ts';
export { SystemPicture } from './inspect/fold.ts';

export async function startRelay(): Promise<Relay> {
  throw new TaskchartError('inspect/relay', 'a browser cannot be the relay', { hint: 'start one on your machine: npx taskchart inspect' });
}
