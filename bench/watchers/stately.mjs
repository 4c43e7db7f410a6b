/** The other process of an inspected run: Stately's own server and receiver. Tells by IPC where it is, and when it has seen a run end. */
import { createServer } from 'node:http';
import { createWebSocketReceiver } from '@statelyai/inspect';
import { createInspectorServer } from '@statelyai/inspect/server';

const probe = createServer();
await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
const { port } = probe.address();
await new Promise((resolve) => probe.close(resolve));
createInspectorServer({ port, autoOpen: false });
const url = `ws://127.0.0.1:${port}`;
let seen = 0;
createWebSocketReceiver({ server: url }).subscribe((event) => {
  if (event.type === '@xstate.snapshot' && event.snapshot?.value === 'completed') process.send({ ended: (seen += 1) });
});
setTimeout(() => process.send({ url }), 200);
process.on('disconnect', () => process.exit(0));
