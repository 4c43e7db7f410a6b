/**
 * 03 Typed flow: the compiler follows the data from step to step, and schemas guard the way in.
 *
 * Every input below is inferred from the step before. The lines under `@ts-expect-error` do not compile; that is the
 * point. A `contract` says what goes in and out by a schema (zod, valibot, arktype), which is also checked at run time.
 */
import { contract, isTaskchartError, task, workflow } from 'taskchart';
import { z } from 'zod';

const order = contract('order', {
  input: z.object({ customer: z.string().min(1), items: z.array(z.object({ price: z.number(), quantity: z.number().default(1) })) }),
  output: z.object({ customer: z.string(), total: z.number() }),
});
// The handler gets what the schema gives: quantity is a number, though a caller may leave it out.
order.implement(({ customer, items }) => ({ customer, total: items.reduce((sum, one) => sum + one.price * one.quantity, 0) }));

const billing = workflow('billing', order
  .fork({
    tax: ({ total }) => Math.round(total * 0.25),
    letter: ({ customer, total }) => `Dear ${customer}, you owe ${total}`,
  })
  .withPolicy({ critical: ['tax'] })
  .to('invoice', ({ tax, letter }) => ({ tax, text: letter ?? 'no letter' }))); // letter may be absent: it is not critical

const invoice = await billing.run({ customer: 'Ada', items: [{ price: 40 }, { price: 10, quantity: 6 }] });
console.log(invoice.text, `plus ${invoice.tax} tax`);

// @ts-expect-error the output of order is no string
order.to(task('shout', (text: string) => text.toUpperCase()));
// @ts-expect-error a Date is no JSON, so it could not be stored in a snapshot
task('now', () => ({ at: new Date() }));

try {
  await billing.run({ customer: '', items: [] });
} catch (error) {
  if (isTaskchartError(error)) console.log(`${error.name} ${error.code}`);
}

/* Expected output:
Dear Ada, you owe 100 plus 25 tax
ValueError value/schema
*/
