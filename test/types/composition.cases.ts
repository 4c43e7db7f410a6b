/** What must and must not compile when steps are composed. Nothing here runs: the compiler is the test. */
import { channelKey, dag, each, node, parallel, sequence, sleep, task, waitFor, workflow } from 'taskchart';
import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';

/** True where two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_same: Same<A, B>): void {}
type Out<S> = S extends { readonly '~output'?: (() => infer O) | undefined } ? O : never;
type In<S> = S extends { readonly '~input'?: ((value: infer I) => void) | undefined } ? I : never;

const a = task('a', (x: string) => x.length);
const b = task('b', (n: number) => String(n));
const c = task('c', (n: number) => n > 1);
const needsStr = task('needsStr', (s: string) => s);
const noInput = task('noInput', () => 1);

// --- sequence and .to
const ab = sequence(a, b);
same<In<typeof ab>, string>(true);
same<Out<typeof ab>, string>(true);
sequence(a, b, a);
noInput.to(c);
// a task that ignores its input fits everywhere
a.to(noInput).to(c);
sequence(a, noInput, c);
parallel(b, noInput);
// @ts-expect-error a outputs number, needsStr wants string
sequence(a, needsStr);
// @ts-expect-error same through .to
a.to(needsStr);
// @ts-expect-error same later in the sequence
sequence(a, b, a, needsStr);
// @ts-expect-error no step
sequence(a, (n: number) => n);
// @ts-expect-error no step
a.to((n: number) => n);
a.to('inline', (n) => n.toFixed()).to(needsStr);
// @ts-expect-error inferred number has no .foo
a.to('inline', (n) => n.foo);
// steps made in a loop
const many = Array.from({ length: 5 }, (_, i) => task(`t${i}`, (n: number) => n + 1));
const looped = sequence(...many);
same<In<typeof looped>, number>(true);
same<Out<typeof looped>, number>(true);
const mixed = [a, b];
// @ts-expect-error each of these must accept what the others give
sequence(...mixed);

// --- JSON
// @ts-expect-error Date is not JSON
task('bad', () => ({ at: new Date() }));
// @ts-expect-error Map is not JSON
a.to('inline', (n) => ({ m: new Map([[n, n]]) }));
// @ts-expect-error bigint is not JSON
task('bad', () => 10n);
// @ts-expect-error undefined inside
task('bad', (s: string) => ({ first: s.length > 1 ? s : undefined }));
// @ts-expect-error undefined inside an array
task('bad', (s: string) => [s, undefined]);
// @ts-expect-error a promise inside
task('bad', (s: string) => ({ later: Promise.resolve(s) }));
// @ts-expect-error a function inside
task('bad', (s: string) => ({ deep: [{ f: () => s }] }));
// @ts-expect-error an error is not JSON
task('bad', (s: string) => new Error(s));
// @ts-expect-error a step is not an output
task('bad', () => a);
// @ts-expect-error symbols are not JSON
a.fork({ ok: (n) => n, bad: (n) => Symbol(String(n)) });
// @ts-expect-error the same in a recover handler
a.recover('bad', () => new Set([1]));
task('any', (x: any) => x);
task('unknown', (x: unknown) => x);
task('nothing', () => {});
task('nothingLater', async () => {});
task('optional', (): { a?: string } => ({}));
interface Row { id: number; tags: string[]; nested?: { x: null } }
task('iface', (r: Row) => r).to(task('iface2', (r: Row) => r.id));
interface Tree { name: string; children: Tree[]; parent?: Tree }
task('tree', (t: Tree) => t).to('tree2', (t) => t.children.length);
type Brand = string & { readonly __brand: 'id' };
task('brand', (s: string) => s as Brand).to('brand2', (s: Brand) => s.length);
declare enum Colour { Red = 'red', Blue = 'blue' }
task('enum', () => Colour.Red).to('enum2', (colour) => colour === Colour.Red);
task('union', (s: string) => (s === '' ? { ok: true as const, n: 1 } : { ok: false as const, why: s })).to('narrow', (r) => (r.ok ? r.n : r.why.length));
task('tuple', () => [1, 'a'] as const).to('tuple2', ([n, s]) => `${n}${s}`);

// --- parallel
const group = parallel(b, c);
same<In<typeof group>, number>(true);
same<Out<typeof group>, { b: string; c: boolean }>(true);
const strictUse = task('strictUse', (o: { b: string; c: boolean }) => o.b);
const use = task('use', (o: { b?: string; c?: boolean }) => o.b ?? '');
a.to(parallel(b, c)).to(strictUse);
// group input must satisfy every member
const ga = task('ga', (x: { a: string }) => x.a);
const gb = task('gb', (x: { b: number }) => x.b);
const onlyA = task('onlyA', () => ({ a: 'x' }));
const both = task('both', () => ({ a: 'x', b: 1 }));
both.to(parallel(ga, gb));
// @ts-expect-error missing b
onlyA.to(parallel(ga, gb));
// a sequence's output is kept under its last id, or under its name
const d = task('d', (n: number) => n * 2);
const lastIds = parallel(sequence(a, b), sequence(noInput, d));
same<Out<typeof lastIds>, { b: string; d: number }>(true);
const named = parallel(sequence(a, b).as('first'), a.to('x', (n) => n).as('second'));
same<Out<typeof named>, { first: string; second: number }>(true);
const nested = parallel(parallel(b, c).as('inner'), d);
same<Out<typeof nested>, { inner: { b: string; c: boolean }; d: number }>(true);
const withFork = parallel(a.fork({ p: (n) => n, q: (n) => String(n) }).as('forked'), needsStr);
same<Out<typeof withFork>, { forked: { p: number; q: string }; needsStr: string }>(true);
// @ts-expect-error a group has no id of its own
parallel(parallel(b, c), d);
// @ts-expect-error neither has what ends with one
parallel(a.to(parallel(b, c)), needsStr);
// members made in a loop
const loopGroup = parallel(...many);
same<Out<typeof loopGroup>, { [x: `t${number}`]: number }>(true);

// --- policies
const best = parallel(b, c).withPolicy('bestEffort');
same<Out<typeof best>, { b?: string; c?: boolean }>(true);
a.to(best).to(use);
// @ts-expect-error bestEffort makes b optional
a.to(best).to(strictUse);
const critical = parallel(b, c).withPolicy({ critical: ['b'], failFast: true });
same<Out<typeof critical>, { b: string; c?: boolean }>(true);
const atLeast = parallel(b, c).withPolicy({ atLeast: 1 });
same<Out<typeof atLeast>, { b?: string; c?: boolean }>(true);
const fast = parallel(b, c).withPolicy({ failFast: true });
same<Out<typeof fast>, { b: string; c: boolean }>(true);
const own = parallel(b, c).withPolicy((results) => results.filter((result) => result.ok).length > 0);
same<Out<typeof own>, { b?: string; c?: boolean }>(true);
parallel(b, c).withPolicy((results) => ({ ok: results.every(({ id }) => id !== 'b'), reason: 'b' }));
// @ts-expect-error unknown member
parallel(b, c).withPolicy({ critical: ['zzz'] });
// @ts-expect-error unknown policy
parallel(b, c).withPolicy('lenient');

// --- execution
parallel(b, c).withExecution({ backend: 'local', concurrency: 8 }).withPolicy('bestEffort').withExecution({ backend: 'direct' });
parallel(b, c).withExecution({ backend: 'threads', backendConfig: { module: import.meta.url, maxThreads: 2 } });
parallel(b, c).withExecution({ backend: 'redis', backendConfig: { url: 'redis://127.0.0.1:6379' } });
parallel(b, c).withExecution({ backend: 'redis', backendConfig: { host: '127.0.0.1', port: 6379, tls: true } });
parallel(b, c).withExecution({ backend: 'redis', startTimeout: 30_000, backendConfig: { url: 'rediss://h', tls: { ca: ['pem'] }, queue: 'heavy', namespace: 'n', prefix: 'p' } });
parallel(b, c).withExecution({ backend: 'redis', backendConfig: { sentinels: [{ host: 'a' }, { host: 'b', port: 26379 }], name: 'main', password: 'p', sentinelPassword: 's' } });
parallel(b, c).withExecution({ backend: 'redis', backendConfig: { cluster: [{ host: 'a' }], username: 'u', password: 'p' } });
declare const redisClient: Redis;
declare const redisCluster: Cluster;
parallel(b, c).withExecution({ backend: 'redis', backendConfig: { client: redisClient, queue: 'heavy' } });
parallel(b, c).withExecution({ backend: 'redis', backendConfig: { client: redisCluster } });
// @ts-expect-error startTimeout belongs to redis
parallel(b, c).withExecution({ backend: 'local', startTimeout: 30_000 });
// @ts-expect-error startTimeout is a number
parallel(b, c).withExecution({ backend: 'redis', startTimeout: '30s', backendConfig: { host: 'h' } });
// @ts-expect-error sentinels need the name of the primary
parallel(b, c).withExecution({ backend: 'redis', backendConfig: { sentinels: [{ host: 'a' }] } });
// @ts-expect-error a node needs a host
parallel(b, c).withExecution({ backend: 'redis', backendConfig: { cluster: [{ port: 6379 }] } });
// @ts-expect-error only clients of ioredis can be used
parallel(b, c).withExecution({ backend: 'redis', backendConfig: { client: { get: () => 'x' } } });
// @ts-expect-error redis needs backendConfig
parallel(b, c).withExecution({ backend: 'redis' });
// @ts-expect-error redis needs to know where
parallel(b, c).withExecution({ backend: 'redis', backendConfig: {} });
// @ts-expect-error threads need the module
parallel(b, c).withExecution({ backend: 'threads', backendConfig: {} });
// @ts-expect-error no such backend
parallel(b, c).withExecution({ backend: 'cloud' });
// @ts-expect-error direct runs one at a time
parallel(b, c).withExecution({ backend: 'direct', concurrency: 3 });

// --- fork
const forked = a.fork({ x: (n) => n + 1, y: async (n) => String(n), z: (n, ctx) => (n > 1 ? ctx.terminate() : n) });
same<Out<typeof forked>, { x: number; y: string; z: number }>(true);
forked.to('j', (o) => o.x.toFixed() + o.y.trim());
const forkPolicy = a.fork({ x: (n) => n + 1, y: async (n) => String(n) }).withExecution({ backend: 'direct' }).withPolicy({ critical: ['x'] });
same<Out<typeof forkPolicy>, { x: number; y?: string }>(true);
same<In<typeof forkPolicy>, string>(true);
parallel(b, c).fork({ left: ({ b: text }) => text, right: ({ c: flag }) => flag }).to('r', ({ left, right }) => (right ? left : ''));
// @ts-expect-error unknown branch
a.fork({ x: (n) => n }).withPolicy({ critical: ['y'] });
// @ts-expect-error the input is a number
a.fork({ x: (n) => n.foo });

// --- each
const lengths = each(a);
same<In<typeof lengths>, readonly string[]>(true);
same<Out<typeof lengths>, number[]>(true);
const words = task('words', (s: string) => s.split(' '));
words.to(each(a, { batch: 10 }).withExecution({ backend: 'local', concurrency: 4 })).to('total', (ns) => ns.reduce((x, y) => x + y, 0));
const holes = each(a).withPolicy('bestEffort');
same<Out<typeof holes>, (number | null)[]>(true);
same<Out<ReturnType<() => typeof holes>>, (number | null)[]>(true);
const eachAtLeast = each(sequence(a, b)).withPolicy({ atLeast: 2, failFast: true });
same<Out<typeof eachAtLeast>, (string | null)[]>(true);
const eachFast = each(a).withPolicy({ failFast: true });
same<Out<typeof eachFast>, number[]>(true);
const eachGroup = each(parallel(b, c));
same<Out<typeof eachGroup>, { b: string; c: boolean }[]>(true);
parallel(each(a).as('lengths'), each(needsStr).as('texts')).to('both', ({ lengths: ls, texts }) => ls.length + texts.length);
// @ts-expect-error a number is no array
a.to(each(b));
// @ts-expect-error items are strings
words.to(each(b));
// @ts-expect-error items have no ids
each(a).withPolicy({ critical: ['0'] });

// --- dag
const load = task('load', (path: string) => path.length);
const left = task('left', (from: { a: number }) => from.a + 1);
const right = task('right', (from: { a: number }) => String(from.a));
const join = task('join', (from: { b: number; c: string }) => from.b + from.c.length);
const diamond = dag({ a: node(load), b: node(left, { needs: ['a'] }), c: node(right, { needs: ['a'] }), d: node(join, { needs: ['b', 'c'] }) });
same<In<typeof diamond>, string>(true);
same<Out<typeof diamond>, { d: number }>(true);
diamond.withExecution({ backend: 'local', concurrency: 2 }).to('show', ({ d: sum }) => sum.toFixed());
const twoRoots = dag({ x: node(a), y: node(needsStr) });
same<In<typeof twoRoots>, string>(true);
same<Out<typeof twoRoots>, { x: number; y: string }>(true);
// @ts-expect-error there is no node z
dag({ a: node(load), b: node(left, { needs: ['z'] }) });
// @ts-expect-error join needs c too
dag({ a: node(load), b: node(left, { needs: ['a'] }), d: node(join, { needs: ['b'] }) });
// @ts-expect-error b is a number for join, not a string
dag({ a: node(load), b: node(right, { needs: ['a'] }), c: node(right.as('r2'), { needs: ['a'] }), d: node(join, { needs: ['b', 'c'] }) });
// @ts-expect-error node() is missing
dag({ a: load });
// @ts-expect-error a dag has no policy
diamond.withPolicy('bestEffort');

// --- recover
const safe = a.recover('fallback', (failure) => ({ failed: failure.step, on: failure.input.trim(), why: failure.message }));
same<Out<typeof safe>, number | { failed: string; on: string; why: string }>(true);
sequence(a, b).recover('none', () => null).to('afterRecover', (text) => text?.length ?? 0);
parallel(a.recover('zero', () => 0), needsStr).to('afterGroup', ({ a: n, needsStr: s }) => n + s.length);
// @ts-expect-error the fallback's output counts too
a.recover('text', () => 'none').to(b);
// @ts-expect-error the failed step's input is a string
a.recover('x', (failure) => failure.input.foo);

// --- control
task('loop', (n: number, ctx) => {
  // @ts-expect-error own input is number
  if (n < 0) return ctx.nextIteration('x');
  // @ts-expect-error needsStr wants string
  if (n < 1) return ctx.goto(needsStr, 5);
  // @ts-expect-error an input is needed
  if (n < 2) return ctx.goto(needsStr);
  // @ts-expect-error needsStr wants string
  ctx.nextTask(needsStr, 5);
  ctx.nextTask(noInput);
  ctx.nextTask(ab, 'x');
  return n < 9 ? ctx.nextIteration(n + 1) : n;
});
const loop = task('loop', (n: number, ctx) => (n < 9 ? ctx.nextIteration(n + 1) : n));
same<Out<typeof loop>, number>(true);
loop.to(c);
const router = task('router', (n: number, ctx) => (n > 1 ? ctx.goto(b, n) : n > 0 ? ctx.cancel('no') : ctx.terminate({ n })));
same<Out<typeof router>, never>(true);
a.to('store', (s, ctx) => {
  if (s < 0) return ctx.goto(needsStr, 'negative');
  ctx.nextTask(needsStr, `stored ${s}`);
  return { rows: s, pass: 0 };
}).to('converge', (s, ctx) => (s.pass < 3 ? ctx.nextIteration({ ...s, pass: s.pass + 1 }) : { done: true, rows: s.rows }));

// --- channel
const total = channelKey<number>('total');
const names = channelKey<string[]>('names');
task('channel', (n: number, ctx) => {
  ctx.channel.add(total, n);
  ctx.channel.add('plain');
  ctx.channel.append(names, 'x');
  ctx.channel.set(total, 3);
  ctx.channel.delete(names);
  // @ts-expect-error a number
  ctx.channel.set(total, 'x');
  // @ts-expect-error the items are strings
  ctx.channel.append(names, 1);
  // @ts-expect-error not a number
  ctx.channel.add(names, 1);
  const sum: number | undefined = ctx.channel.get(total);
  return sum ?? 0;
});

// --- wait and sleep
const approval = waitFor('approval', { schema: z.object({ by: z.string() }), timeout: 1000 });
same<Out<typeof approval>, { by: string }>(true);
a.to(approval).to('after', ({ by }) => by.trim());
parallel(approval, waitFor('second', { schema: z.number() }).as('other')).to('sum', ({ approval: first, other }) => first.by + other.toFixed());
// @ts-expect-error the signal's value has a type
approval.to(b);
// a sleep hands its input on
const slept = sequence(a, sleep(10), sleep(20), b);
same<In<typeof slept>, string>(true);
same<Out<typeof slept>, string>(true);
a.to(sleep(10)).to(b);
a.to(sleep(10)).to('x', (n) => n.toFixed());
sleep(10).to(a).to(b);
sleep(10).to('first', (s: string) => s.length).to(b);
const endsAsleep = sequence(a, sleep(10));
same<Out<typeof endsAsleep>, number>(true);
parallel(b, sleep(5).as('pause')).to('paused', ({ pause }) => pause.toFixed());
// @ts-expect-error what comes before the sleep counts
sequence(a, sleep(10), needsStr);
// @ts-expect-error and through .to
a.to(sleep(10)).to(needsStr);

// --- workflow
const w = workflow('w', sequence(a, b));
const out: Promise<string> = w.run('x');
// @ts-expect-error missing input
w.run();
// @ts-expect-error wrong input
w.run(1);
const w0 = workflow('w0', noInput);
w0.run() satisfies Promise<number>;
const outer = workflow('outer', w.to('len', (s) => s.length).to(b), { uses: [needsStr, w0] });
outer.run('x') satisfies Promise<string>;
parallel(w, w.as('again'), needsStr).to('three', (o) => o.w + o.again + o.needsStr);
w.fork({ one: (s) => s.length, two: (s) => s }).withPolicy({ critical: ['one'] }).to('f', ({ one, two }) => one + (two ?? '').length);
each(w) satisfies { to: unknown };
task('steer', (s: string, ctx) => ctx.goto(w, s));
// @ts-expect-error the workflow wants a string
task('steer', (n: number, ctx) => ctx.goto(w, n));
// @ts-expect-error a workflow's output counts
w.to(b);

// --- ids and options
const again = a.as('a2');
same<(typeof again)['id'], 'a2'>(true);
task('opts', (n: number) => n, { retry: { attempts: 3, backoff: 'exponential', delay: 100, factor: 3, maxDelay: 5000, jitter: 0.5 }, timeout: 50, maxIterations: 5 });
// @ts-expect-error no such option
task('opts', (n: number) => n, { retries: 3 });
// @ts-expect-error no such backoff
task('opts', (n: number) => n, { retry: { attempts: 3, backoff: 'cubic' } });

export { out, router };

// plain data with a name and a message is no Error
task('chat', () => ({ name: 'Ann', message: 'hello' }));
// @ts-expect-error an Error is no JSON
task('anError', () => new Error('x'));
