/**
 * 12 Testing with virtual time: a workflow of days and random delays, tested in milliseconds and always the same.
 *
 * `VirtualClock` moves only when it is told to: backoffs, timeouts, `sleep` and the time limit of a `waitFor` happen in
 * order, at their time. `seededRandom` makes the jitter of retries the same in every run.
 */
import { RetryAfterError, sleep, task, waitFor, workflow } from 'taskchart';
import { seededRandom, VirtualClock } from 'taskchart/testing';

const hour = 3_600_000;
const clock = new VirtualClock(Date.UTC(2026, 0, 1));
const log = (what: string) => console.log(`${new Date(clock.now()).toISOString().slice(5, 19)}  ${what}`);

let failures = 2;
const reminder = workflow('reminder',
  task('send', (to: string, ctx) => {
    log(`attempt ${ctx.attempt} to send`);
    if (failures-- > 0) throw failures === 1 ? new Error('busy') : new RetryAfterError(10 * 60_000, 'come back later');
    return to;
  }, { retry: { attempts: 5, backoff: 'exponential', delay: 60_000, maxDelay: hour, jitter: 0.5 } })
    .to(sleep(72 * hour))
    .to(waitFor('answer', { timeout: 24 * hour }).recover('nobody', () => 'no answer'))
    .to('file', (answer) => log(`filed: ${answer}`)));

console.log('somebody answers');
const run = reminder.start('Ada', { clock, random: seededRandom(1) });
await clock.advance(80 * hour); // the attempts, the three days, and some hours of waiting
log(`state ${run.status().state}`);
run.signal('answer', 'yes');
await run.result;

console.log('nobody answers');
failures = 0;
const silent = reminder.start('Bob', { clock, random: seededRandom(1) });
await clock.advance(95 * hour);
log(`state ${silent.status().state}`);
await clock.advance(hour);
await silent.result;

/* Expected output:
somebody answers
01-01T00:00:00  attempt 1 to send
01-01T00:00:41  attempt 2 to send
01-01T00:10:41  attempt 3 to send
01-04T08:00:00  state waiting
01-04T08:00:00  filed: yes
nobody answers
01-04T08:00:00  attempt 1 to send
01-08T07:00:00  state waiting
01-08T08:00:00  filed: no answer
*/
