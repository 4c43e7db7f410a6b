/**
 * 04 Dynamic goto: a task decides at run time where the run goes.
 *
 * `goto` leaves the path: the static successors do not run. `nextTask` adds a step beside the path: the successors still
 * run after it. `terminate` ends the run with a result. Targets are ordinary steps; their inputs are checked by the compiler.
 */
import { task, workflow } from 'taskchart';

interface Ticket { id: number; text: string; urgent?: boolean }

const audit = task('audit', (line: string) => console.log(`  audit: ${line}`));
const escalate = task('escalate', (ticket: Ticket) => `ticket ${ticket.id} is with a human`);
const answered = new Map([['how do I log in?', 'By the button at the top right.']]);

const support = workflow('support',
  task('triage', (ticket: Ticket, ctx) => {
    const known = answered.get(ticket.text);
    if (known !== undefined) return ctx.terminate(known); // nothing later runs
    ctx.nextTask(audit, `ticket ${ticket.id} came in`); // runs next, then the rest of the path
    return ticket;
  })
    .to('route', (ticket, ctx) => (ticket.urgent ? ctx.goto(escalate, ticket) : ticket)) // 'reply' is skipped
    .to('reply', (ticket) => `ticket ${ticket.id} got a reply`),
  { uses: [audit, escalate] }); // steps that only goto and nextTask reach, so that the graph shows them

for (const ticket of [
  { id: 1, text: 'the export is slow' },
  { id: 2, text: 'the site is down', urgent: true },
  { id: 3, text: 'how do I log in?' },
]) {
  console.log(await support.run(ticket));
}

/* Expected output:
  audit: ticket 1 came in
ticket 1 got a reply
  audit: ticket 2 came in
ticket 2 is with a human
By the button at the top right.
*/
