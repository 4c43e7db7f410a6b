/** A process of its own for a run that the page watches: the first one stops in its second task, the next one resumes. */
import { task, workflow } from 'taskchart';
import { connectInspector } from 'taskchart/inspect';
import { fileStore } from 'taskchart/stores';

const [, , mode, url = '', folder = ''] = process.argv;

const flow = workflow('night-job',
  task('collect', () => ({ rows: 3 }))
    .to('load', async ({ rows }) => {
      if (mode === 'start') await new Promise(() => setInterval(() => undefined, 1000));
      return rows * 2;
    })
    .to('report', (rows) => `${rows} rows`));

const options = { store: fileStore(folder), inspect: connectInspector(url, { title: mode ?? '' }) };
const run = mode === 'start' ? flow.start(undefined, { ...options, runId: 'night-1' }) : await flow.resume(options.store, 'night-1', { inspect: options.inspect });
await run.result;
