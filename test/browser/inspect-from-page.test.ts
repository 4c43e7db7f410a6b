/** A run in a page, watched and answered through a relay on the same machine: another origin than the page's. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startRelay, type Relay } from 'taskchart/inspect';
import { launch, launchTimeoutMs, type Browser } from './support/browser.ts';
import { bundle, outOfPlace, repository } from './support/bundle.ts';
import { serve, type Served } from './support/serve.ts';
import { Viewer } from './support/viewer.ts';

const scratch = mkdtempSync(join(tmpdir(), 'taskchart-inspected-'));
let browser: Browser;
let site: Served;
let relay: Relay;

beforeAll(async () => {
  const alias = { taskchart: join(repository, 'src/browser.ts'), 'taskchart/inspect': join(repository, 'src/inspect-browser.ts') };
  const { code, metafile } = await bundle({ entryPoints: ['test/fixtures/browser/inspected.ts'], alias });
  // The inspector says what coordinators wait for, also in a page that only watches them: one pure function of theirs.
  expect(outOfPlace(metafile).filter((file) => file !== 'machines/coordinator/survey.ts')).toEqual([]);
  writeFileSync(join(scratch, 'inspected.js'), code);
  writeFileSync(join(scratch, 'index.html'), '<!doctype html><title>Inspected</title><link rel="icon" href="data:,"><script type="module" src="inspected.js"></script>');
  [browser, site, relay] = [await launch(), await serve(scratch), await startRelay()];
}, launchTimeoutMs);
afterAll(async () => {
  await browser?.close();
  await site?.close();
  await relay?.close();
  rmSync(scratch, { recursive: true, force: true });
});

it('is seen, with its fan-out, and goes on when the viewer answers', async () => {
  const page = await browser.open(`${site.origin}/`);
  await page.until('window.begin');
  await page.evaluate(`begin(${JSON.stringify(relay.url)})`);
  const viewer = new Viewer(relay.url);
  const { session, seen } = await viewer.untilWaitingFor('answer');
  expect(seen).toContainEqual(expect.objectContaining({ type: '@taskchart.source', kind: 'browser', state: 'connected', title: 'a page' }));
  expect(seen).toContainEqual(expect.objectContaining({ type: '@taskchart.group', size: 300, done: 300, open: false }));
  expect(await viewer.command(session, { kind: 'signal', name: 'answer', value: 42 })).toMatchObject({ ok: true });
  expect(await page.evaluate('ended()')).toBe('it was 42');
  expect(page.problems()).toEqual([]);
  await page.close();
});

it('ends as lost for the viewer when the page is closed', async () => {
  const page = await browser.open(`${site.origin}/`);
  await page.until('window.begin');
  await page.evaluate(`begin(${JSON.stringify(relay.url)})`);
  const viewer = new Viewer(relay.url);
  const source = (await viewer.untilWaitingFor('answer')).session.split('/')[0];
  await page.close();
  const told: string[] = [];
  for await (const message of viewer.messages()) {
    if (message.type !== '@taskchart.source' || message.sessionId !== source) continue;
    told.push(message.state);
    if (message.state !== 'connected') break;
  }
  expect(told.at(-1)).toBe('lost');
}, 40_000);

it('never disturbs a run when there is no relay', async () => {
  const gone = await startRelay();
  await gone.close();
  const page = await browser.open(`${site.origin}/`);
  await page.until('window.begin');
  await page.evaluate(`begin(${JSON.stringify(gone.url)})`);
  await page.until('performance.getEntriesByType("resource").some(({ name }) => name.includes("/api/source/")) && waits()');
  await page.evaluate('answer("nobody")');
  expect(await page.evaluate('ended()')).toBe('it was nobody');
  expect(page.problems().filter((line) => !line.includes('ERR_CONNECTION_REFUSED'))).toEqual([]);
  await page.close();
});
