/**
 * The package in a browser: what a bundler takes in, how big that is, and that runs give there what they give in Node.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import * as browserEntry from '../../src/browser.ts';
import * as nodeEntry from '../../src/index.ts';
import { flows } from '../fixtures/browser/flows.ts';
import { launch, launchTimeoutMs, type Browser } from './support/browser.ts';
import { bundle, outOfPlace, repository } from './support/bundle.ts';
import { serve, type Served } from './support/serve.ts';

const scratch = mkdtempSync(join(tmpdir(), 'taskchart-bundles-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('the browser entry', () => {
  it('has every value of the main entry, with the same type', () => {
    expect(Object.keys(browserEntry).sort()).toEqual(Object.keys(nodeEntry).sort());
    expectTypeOf<typeof browserEntry>().toEqualTypeOf<typeof nodeEntry>();
  });

  it('takes no module of Node, no Redis and no files into a bundle, and is small', async () => {
    const { bytes, metafile, files } = await bundle({ entryPoints: ['src/browser.ts'] });
    expect(files).toEqual(expect.arrayContaining(['src/browser.ts', 'src/adapters/system.ts', 'machines/execution-context.machine.ts']));
    expect(outOfPlace(metafile)).toEqual([]);
    // With xstate and nanoid in it; a bundle of xstate's createActor and setup alone is about 13 kB.
    expect(bytes).toBeLessThan(65_000);
  });

  it('would be seen to be out of place', async () => {
    const { metafile } = await bundle({ entryPoints: ['src/index.ts'], platform: 'node', packages: 'external' });
    expect(outOfPlace(metafile)).toEqual(expect.arrayContaining(['node:worker_threads', 'tinypool', 'src/adapters/threads/pool.ts']));
  });
});

describe('the built package, in the hands of a bundler for browsers', () => {
  const app = join(scratch, 'app');
  beforeAll(() => {
    mkdirSync(join(app, 'node_modules'), { recursive: true });
    symlinkSync(repository, join(app, 'node_modules/taskchart'), 'dir');
  });

  it('gives dist/browser.js for the condition `browser`, and dist/index.js to Node', async () => {
    const chosen = async (platform: 'browser' | 'node') => {
      const { files } = await bundle({ stdin: { contents: "export * from 'taskchart';", resolveDir: app }, platform, packages: 'bundle', external: ['tinypool'] });
      return files.map((file) => relative(repository, resolve(repository, file))).filter((file) => /^dist\/(index|browser)\.js$/.test(file));
    };
    expect([await chosen('browser'), await chosen('node')]).toEqual([['dist/browser.js'], ['dist/index.js']]);
  });

  it.each(['taskchart', 'taskchart/inspect', 'taskchart/machines', 'taskchart/testing'])('%s bundles without Node', async (entry) => {
    const { metafile } = await bundle({ stdin: { contents: `export * from '${entry}';`, resolveDir: app } });
    expect(outOfPlace(metafile)).toEqual([]);
  });
});

describe('runs in a real browser', () => {
  let browser: Browser;
  let site: Served;
  beforeAll(async () => {
    // As the tests' own resolver does: the package's name is the source, here that of the browser entry.
    const { code } = await bundle({ entryPoints: ['test/fixtures/browser/flows.ts'], alias: { taskchart: join(repository, 'src/browser.ts') } });
    writeFileSync(join(scratch, 'flows.js'), code);
    writeFileSync(join(scratch, 'index.html'), '<!doctype html><title>Flows</title><link rel="icon" href="data:,"><script type="module" src="flows.js"></script>');
    [browser, site] = [await launch(), await serve(scratch)];
  }, launchTimeoutMs);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  it('end as they do in Node', async () => {
    const page = await browser.open(`${site.origin}/`);
    await page.until('window.flows');
    for (const name of Object.keys(flows) as (keyof typeof flows)[]) {
      // Threads are there in Node; what the other says is looked at below.
      if (name !== 'threads') expect({ [name]: await page.evaluate(`flows.${name}()`) }).toEqual({ [name]: JSON.parse(JSON.stringify(await flows[name]())) as unknown });
    }
    expect(page.problems()).toEqual([]);
    await page.close();
  });

  it('refuse a group that asks for threads, and say what to use', async () => {
    const page = await browser.open(`${site.origin}/`);
    await page.until('window.flows');
    expect(await page.evaluate('flows.threads()')).toMatchObject({ name: 'DefinitionError', code: 'definition/backend-unavailable', hint: expect.stringContaining('"local"') as string, details: { backend: 'threads' } });
    await page.close();
  });
});
