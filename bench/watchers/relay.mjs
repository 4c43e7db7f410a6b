/** The other process of an inspected run: taskchart's relay with a viewer that reads everything. Tells by IPC where it is, and when it has seen a run end. */
import { request } from 'node:http';
import { startRelay } from '../../dist/inspect.js';

const relay = await startRelay({ page: 'bench' });
const stream = new URL('/api/stream', relay.url);
stream.search = `${new URL(relay.url).search}&root=*`;
let rest = '';
let seen = 0;
request(stream, (response) => {
  response.setEncoding('utf8');
  response.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data: ')) continue;
      for (const message of JSON.parse(line.slice(6))) {
        if (message.type === '@taskchart.live') process.send({ url: relay.url });
        if (message.type === '@taskchart.run' && message.state === 'completed') process.send({ ended: (seen += 1) });
      }
    }
  });
}).end();
process.on('disconnect', () => process.exit(0));
