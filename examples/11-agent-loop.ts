/**
 * 11 Agent loop: a model picks tools until it has an answer, and a person decides about the one that spends money.
 *
 * The model is a function here; yours calls a provider. A contract gives each tool its schemas: the arguments that a model
 * makes up have to pass them, and it is told what was wrong. Contracts also let the agent and its tools name each other.
 * What was said is in the run's channel, so a run that is resumed repeats no call that was answered.
 */
import { channelKey, contract, workflow, type TaskContext } from 'taskchart';
import { z } from 'zod';

const agent = contract('agent', { input: z.null(), output: z.string() });
const flights = contract('flights', { input: z.object({ to: z.string() }), output: z.string() });
const book = contract('book', { input: z.object({ flight: z.string(), price: z.number() }), output: z.string() });
flights.implement(({ to }) => `to ${to}: SK 42 for 120, DY 7 for 180`);
book.implement(async ({ flight, price }, ctx) => {
  const approved = await ctx.ask('approve', { question: `${flight} for ${price}?`, schema: z.boolean() });
  return approved ? `${flight} is booked` : ctx.terminate('a person said no'); // nothing runs after this
});

const talk = channelKey<string[]>('talk');
const hear = (line: string, ctx: TaskContext) => {
  console.log(`  ${line}`);
  ctx.channel.append(talk, line);
  return ctx.goto(agent, null); // the loop
};
const useFlights = flights.recover('explain', (failure) => failure.message).to('found', hear);
const useBook = book.to('booked', hear);

/** Reads what it has heard so far and answers as models do: with a text that should be JSON. */
const model = async (heard: string[]) => [
  '{ "tool": "flights", "args": { "to": 7 } }',
  '{ "tool": "flights", "args": { "to": "Oslo" } }',
  '{ "tool": "book", "args": { "flight": "SK 42", "price": 120 } }',
][heard.length] ?? `{ "answer": "${heard.at(-1)}, have a good flight" }`;

agent.implement(async (_, ctx) => {
  const { tool, args, answer } = JSON.parse(await model(ctx.channel.get(talk) ?? []));
  if (tool === 'flights') return ctx.goto(useFlights, args);
  if (tool === 'book') return ctx.goto(useBook, args);
  return answer;
});

const assistant = workflow('assistant', agent, { uses: [useFlights, useBook] }).with({ maxSteps: 50 });
for (const decision of [true, false]) {
  const run = assistant.start(null);
  run.on((event) => event.type === 'run.waiting' && run.signal('approve', decision));
  console.log(`${decision ? 'approved' : 'declined'}: ${await run.result}`);
}

/* Expected output:
  input of "flights" at to: Invalid input: expected string, received number
  to Oslo: SK 42 for 120, DY 7 for 180
  SK 42 is booked
approved: SK 42 is booked, have a good flight
  input of "flights" at to: Invalid input: expected string, received number
  to Oslo: SK 42 for 120, DY 7 for 180
declined: a person said no
*/
