/**
 * The runs that the page's tests, pictures and measurements look at. They stop at gates, so that they can be looked at in the
 * midst of their work for as long as that takes.
 */
import { dag, each, node, NonRetryableError, parallel, sequence, task, waitFor, workflow } from 'taskchart';

/** Where tasks wait until they are let go, by name. */
export class Gates {
  readonly #open = new Set<string>();
  readonly #waiting = new Map<string, (() => void)[]>();

  async pass(name: string): Promise<void> {
    if (this.#open.has(name)) return;
    await new Promise<void>((go) => {
      const list = this.#waiting.get(name);
      if (list === undefined) this.#waiting.set(name, [go]);
      else list.push(go);
    });
  }

  open(...names: readonly string[]): void {
    for (const name of names) {
      this.#open.add(name);
      for (const go of this.#waiting.get(name) ?? []) go();
      this.#waiting.delete(name);
    }
  }
}

/** One, two side by side, one. */
export function diamond(gates: Gates) {
  return workflow('enrich',
    task('fetchUsers', async (region: string) => {
      await gates.pass('fetchUsers');
      return { region, users: [{ id: 1, age: 30 }, { id: 2, age: 41 }] };
    })
      .fork({
        geo: async ({ users, region }) => {
          await gates.pass('geo');
          return users.map(({ id }) => ({ id, city: region === 'eu' ? 'Oslo' : 'Lima' }));
        },
        score: async ({ users }, ctx) => {
          ctx.progress(1, users.length, 'scored');
          await gates.pass('score');
          return users.length * 7;
        },
      })
      .to('store', async ({ geo, score }, ctx) => {
        ctx.log.info('stored', { rows: geo.length });
        return { rows: geo.length, score };
      }));
}

/** Three sources, of which one fails for good after a second attempt. */
export function failingGroup() {
  const stocks = task('stocks', (): string => { throw new RangeError('the exchange is closed until Monday'); }, { retry: { attempts: 2, delay: 1, jitter: 0 } });
  const group = parallel(task('news', () => '3 headlines'), task('weather', () => '4 degrees'), stocks);
  return workflow('briefing', sequence(group, task('write', (found: { news: string; weather: string; stocks: string }) => Object.values(found).join(', '))));
}

/** As many members as its input says; every hundredth fails for good, and the last 40 stop at a gate. */
export function fanOut(gates: Gates, concurrency = 64) {
  const list = task('list', (count: number) => Array.from({ length: count }, (_, index) => ({ index, file: `photo-${String(index).padStart(4, '0')}.jpg`, held: index >= count - 40 })));
  const resize = task('resize', async ({ index, file, held }: { index: number; file: string; held: boolean }) => {
    if (held) await gates.pass('last');
    if (index % 100 === 37) throw new NonRetryableError(`${file} is no picture: it begins with <!doctype html>`);
    return { file, bytes: 1000 + index };
  });
  const sum = task('sum', (done: readonly ({ bytes: number } | null)[]) => done.reduce((bytes, one) => bytes + (one?.bytes ?? 0), 0));
  return workflow('thumbnails', sequence(list, each(resize).as('resizeAll').withPolicy('bestEffort').withExecution({ backend: 'local', concurrency }), sum));
}

/** Asks a person, then waits for a signal. */
export function refund() {
  return workflow('refund',
    task('prepare', (order: { id: string; amount: number }) => order)
      .to('approve', async (order, ctx) => {
        const yes = await ctx.ask<boolean>('approval', { question: { text: `Refund ${order.amount} for ${order.id}?`, reason: 'arrived broken' } });
        return yes ? order : ctx.cancel('not approved');
      })
      .to(waitFor('paid', { timeout: 86_400_000 }))
      .to('close', (paid) => ({ closed: true, paid: paid ?? null })));
}

/** What a release takes: most kinds of steps in one graph, a retry among them. */
export function release(gates: Gates) {
  const build = dag({
    sources: node(task('sources', () => ({ commit: '9f3c2e1' }))),
    types: node(task('types', async () => { await gates.pass('types'); return 'ok'; }), { needs: ['sources'] }),
    unit: node(task('unit', async (_: unknown, ctx) => { ctx.progress(412, 689, 'tests'); await gates.pass('unit'); return 689; }), { needs: ['sources'] }),
    bundle: node(task('bundle', async () => ({ bytes: 184_220 })), { needs: ['sources'] }),
    e2e: node(task('e2e', async () => { await gates.pass('e2e'); return 'ok'; }), { needs: ['bundle', 'types'] }),
    audit: node(task('audit', async () => { await gates.pass('audit'); return 0; }), { needs: ['bundle'] }),
  }).as('build');
  const regions = each(task('roll-out', async (region: string, ctx) => { ctx.progress(1, 3, region); await gates.pass(`roll-out ${region}`); return region; })).as('regions');
  const publish = task('publish', async (_: unknown, ctx) => {
    ctx.log.info('registry answered', { status: 503 });
    if (ctx.attempt < 3) throw new Error('the registry answered 503 Service Unavailable');
    return ['eu-north', 'eu-west', 'us-east', 'us-west', 'ap-south'];
  }, { retry: { attempts: 5, delay: 1, factor: 2, jitter: 0 } });
  return workflow('release', sequence(
    task('plan', (version: string, ctx) => { ctx.log.info(`release of ${version} begins`); ctx.channel.set('version', version); return version; }),
    build,
    task('approve', async (built: { e2e: string; unit: number; audit: number }, ctx) => (await ctx.ask<boolean>('approval', { question: `All ${built.unit} tests pass. Publish?` })) ? built : ctx.cancel('held back')),
    publish,
    regions,
    task('announce', async (done: readonly string[]) => `live in ${done.length} regions`),
  ).recover('roll-back', () => 'rolled back'));
}

/** A graph of many nodes in layers, each needing two of the layer before. */
export function layers(depth: number, width: number, gates: Gates) {
  const name = (layer: number, place: number) => `step-${layer}-${place}`;
  const nodes: Record<string, ReturnType<typeof node>> = {};
  for (let layer = 0; layer < depth; layer += 1) {
    for (let place = 0; place < width; place += 1) {
      const step = task(name(layer, place), async () => { if (layer > depth / 2) await gates.pass('half'); return place; });
      const needs = layer === 0 ? [] : [name(layer - 1, place), ...(place + 1 < width ? [name(layer - 1, place + 1)] : [])];
      nodes[name(layer, place)] = node(step, { needs });
    }
  }
  return workflow('layers', dag(nodes));
}
