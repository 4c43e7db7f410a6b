/** What must and must not compile with contracts: schemas of any library, types on both sides, cycles. */
import { contract, each, parallel, sequence, task, workflow } from 'taskchart';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import * as v from 'valibot';
import { z } from 'zod';

// --- cycles type-check, in one file and without annotations
const agent = contract('agent', { input: z.object({ q: z.string() }), output: z.string() });
const tool = contract('tool', { input: z.object({ url: z.string().default('x') }), output: z.number() });
// @ts-expect-error wrong goto input
agent.as('agent1').implement((_, ctx) => ctx.goto(tool, { url: 1 }));
// @ts-expect-error wrong output
tool.as('tool1').implement((i) => i.url);
agent.implement((_, ctx) => ctx.goto(tool, {})); // default(): the caller may omit it, the handler sees a string
tool.implement((i) => i.url.length);

declare const zNum: StandardSchemaV1<number>;
declare const zStr: StandardSchemaV1<string>;
const first = contract('first', { input: zStr, output: zStr });
const second = contract('second', { input: zNum, output: zStr });
first.implement((s, ctx) => (s.length > 3 ? ctx.goto(second, s.length) : s));
second.implement((n, ctx) => (n > 0 ? ctx.goto(first, 'x') : 'y'));
// @ts-expect-error output contract
second.implement((n) => n);
// @ts-expect-error the loop's input is a number
second.implement((n, ctx) => ctx.nextIteration(String(n)));

// --- two libraries in one graph
const sized = contract('sized', { input: v.object({ name: v.string() }), output: v.object({ size: v.number() }), retry: { attempts: 2 }, timeout: 100 });
const shown = contract('shown', { input: z.object({ size: z.number() }), output: z.string() });
sized.to(shown).to('trim', (s) => s.trim());
sequence(sized, shown);
parallel(sized, sized.as('again')).to('sum', (o) => o.sized.size + o.again.size);
each(sized).to('sizes', (all) => all.map((one) => one.size));
// @ts-expect-error shown wants a size
sequence(shown, shown);

// --- transforms: callers see the input side, followers the output side
const parsed = contract('parsed', { input: z.string().transform(Number), output: z.number().transform((n) => ({ value: n })) });
parsed.implement((n) => n + 1);
parsed.to('read', ({ value }) => value.toFixed());
workflow('parse', parsed).run('1') satisfies Promise<{ value: number }>;
task('caller', (s: string, ctx) => ctx.goto(parsed, s));
// @ts-expect-error callers give text
task('caller', (n: number, ctx) => ctx.goto(parsed, n));

// --- implement gives the same contract back
const done = contract('done', { input: zNum, output: zStr }).implement(async (n) => String(n));
workflow('w', done, { uses: [agent, tool] }).run(1) satisfies Promise<string>;
// @ts-expect-error an output schema is needed
contract('half', { input: zNum });
// @ts-expect-error no schema
contract('none', { input: 1, output: zStr });
