/**
 * 06 Group policies: when does a group count as a success?
 *
 * Three sources are asked side by side and one of them is down. The policy decides what that means, and the type of the
 * output follows it: what may be missing is optional. `each` asks the same of every item of an array.
 */
import { each, parallel, ParallelGroupError, task, workflow } from 'taskchart';

const news = task('news', () => '3 headlines');
const weather = task('weather', () => '4 degrees');
const stocks = task('stocks', (): string => {
  throw new Error('the exchange is closed');
});
const sources = parallel(news, weather, stocks);

const show = async (name: string, result: Promise<unknown>) => {
  try {
    console.log(`${name}: ${JSON.stringify(await result)}`);
  } catch (error) {
    if (!(error instanceof ParallelGroupError)) throw error;
    console.log(`${name}: failed ${error.failed.map((one) => one.id)}, succeeded ${error.succeeded}`);
  }
};

await show('strict     ', workflow('strict', sources).run()); // the default: all or nothing
await show('bestEffort ', workflow('effort', sources.withPolicy('bestEffort')).run());
await show('critical   ', workflow('critical', sources.withPolicy({ critical: ['news'] })).run());
await show('at least 2 ', workflow('quorum', sources.withPolicy({ atLeast: 2 })).run());
await show('a function ', workflow('own', sources.withPolicy((results) => results[0]?.ok === true)).run());

// Items that failed are null in their place. A policy is a property of the group, retry one of the task.
const half = task('half', (n: number) => {
  if (n % 2 === 1) throw new Error(`${n} is odd`);
  return n / 2;
});
await show('each       ', workflow('halves', each(half).withPolicy('bestEffort')).run([8, 7, 6]));

/* Expected output:
strict     : failed stocks, succeeded news,weather
bestEffort : {"news":"3 headlines","weather":"4 degrees"}
critical   : {"news":"3 headlines","weather":"4 degrees"}
at least 2 : {"news":"3 headlines","weather":"4 degrees"}
a function : {"news":"3 headlines","weather":"4 degrees"}
each       : [4,null,3]
*/
