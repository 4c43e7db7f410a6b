/** Example 13 in a real browser: built by the command of its README, used as its table says. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { launch, launchTimeoutMs, type Browser } from './support/browser.ts';
import { bundle, outOfPlace, repository } from './support/bundle.ts';
import type { Page } from './support/page.ts';

const folder = 'examples/13-web-app';
const readme = readFileSync(join(repository, folder, 'README.md'), 'utf8');

let server: ChildProcess;
let origin: string;
let browser: Browser;
const pages: Page[] = [];

/** The README's command, with another port, and without npx: it would only look for the same program. */
async function serveAsWritten(): Promise<string> {
  const [program, ...args] = /```sh\nnpx (.*)\n```/.exec(readme)?.[1]?.split(' ') ?? [];
  expect(program).toBe('esbuild');
  server = spawn(join(repository, 'node_modules/.bin/esbuild'), args.map((arg) => arg.replace('127.0.0.1:8013', '127.0.0.1:0')), { cwd: repository, stdio: ['pipe', 'ignore', 'pipe'] });
  return new Promise((found, failed) => {
    let said = '';
    server.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const url = /Local:\s+(http:\/\/127\.0\.0\.1:\d+)\//.exec(said)?.[1];
      if (url !== undefined) found(url);
    });
    server.on('exit', () => failed(new Error(said)));
  });
}

beforeAll(async () => { [origin, browser] = [await serveAsWritten(), await launch()]; }, launchTimeoutMs);
afterEach(async () => {
  for (const page of pages.splice(0)) {
    expect(page.problems()).toEqual([]);
    await page.close();
  }
});
afterAll(async () => {
  await browser?.close();
  server?.kill();
});

async function open(beside?: Page): Promise<Page> {
  const page = await browser.open('about:blank', { width: 700, height: 500, ...(beside && { beside }) });
  pages.push(page);
  // What a page logs in its last moment is not always told, so what the tasks say is written down in the page itself.
  await page.send('Page.addScriptToEvaluateOnNewDocument', { source: 'console.debug = (line) => { localStorage.witness = (localStorage.witness ?? "") + line + "\\n"; };' });
  await page.goto(`${origin}/`);
  return page;
}

async function count(page: Page, below: number): Promise<void> {
  await page.type('[name=below]', String(below));
  await page.click('#start button');
}

const spans = 'parseInt(document.getElementById("spans").textContent)';
const done = (page: Page) => page.evaluate<number>(spans);
const doneAtLeast = (page: Page, least: number) => page.until(`${spans} >= ${least}`);
const asksForNote = (page: Page) => page.until('!document.getElementById("keep").hidden', { timeoutMs: 30_000 });
const counted = async (page: Page) => (await page.evaluate<string>('localStorage.witness')).trim().split('\n');
const stored = (page: Page) => page.evaluate<number>('JSON.parse(localStorage["prime-counter"]).context.done');

it('counts, asks, keeps: the figures are right', async () => {
  const page = await open();
  await count(page, 2_000_000);
  await asksForNote(page);
  expect(await page.text('#keep p')).toBe('There are 148,933 primes below 2,000,000.');
  await page.type('[name=note]', '<b>mine</b>');
  await page.click('#keep button');
  expect(await page.text('#kept li')).toBe('148,933 below 2,000,000: <b>mine</b>');
  expect(await page.evaluate('document.getElementById("start").hidden')).toBe(false);
  expect(new Set(await counted(page)).size).toBe(40);
  expect(page.requests.filter(({ url }) => !url.startsWith(origin) && !url.startsWith('data:'))).toEqual([]);
}, 60_000);

it('goes on after a reload in the middle: what was done is not done again, and nothing is counted twice', async () => {
  const page = await open();
  await count(page, 4_000_000);
  await doneAtLeast(page, 5);
  await page.reload();
  const after = await stored(page);
  await doneAtLeast(page, after + 5);
  await page.reload();
  await asksForNote(page);
  expect(await page.text('#keep p')).toBe('There are 283,146 primes below 4,000,000.');
  const times = await counted(page);
  expect(after).toBeLessThan(70);
  expect(new Set(times).size).toBe(80);
  // Each reload may have cut one span that was being counted.
  expect(times.length).toBeLessThanOrEqual(82);
  await page.reload();
  await asksForNote(page);
  expect((await counted(page)).length).toBe(times.length);
  await page.click('#keep button');
  expect(await page.text('#kept li')).toBe('283,146 below 4,000,000');
}, 60_000);

it('stays paused over a reload', async () => {
  const page = await open();
  await count(page, 2_000_000);
  await doneAtLeast(page, 3);
  await page.click('#pause');
  await page.until('document.getElementById("pause").textContent === "Go on" && JSON.parse(localStorage["prime-counter"]).children.run.snapshot.context.openMembers === 0');
  const before = await done(page);
  await page.reload();
  await page.until('!document.getElementById("counting").hidden');
  expect([await page.text('#pause'), await done(page)]).toEqual(['Go on', before]);
  expect(before).toBeLessThan(40);
  await page.click('#pause');
  await asksForNote(page);
  expect(await page.text('#keep p')).toContain('148,933');
}, 60_000);

it('stops: the run is gone, what was kept stays, and another can be started', async () => {
  const page = await open();
  await count(page, 1000);
  await asksForNote(page);
  await page.click('#keep button');
  await count(page, 50_000_000);
  await doneAtLeast(page, 1);
  await page.click('#stop');
  await page.until('!document.getElementById("start").hidden');
  await page.reload();
  await page.until('!document.getElementById("start").hidden');
  expect(await page.text('#kept')).toBe('168 below 1,000');
}, 60_000);

it('refuses a stored run of another graph, says why, and can start anew', async () => {
  const page = await open();
  await count(page, 1000);
  await asksForNote(page);
  await page.evaluate('addEventListener("pagehide", () => { localStorage["prime-counter"] = localStorage["prime-counter"].replace(/"graphHash":"[^"]*"/, \'"graphHash":"0000"\'); })');
  await page.reload();
  await page.until('document.getElementById("problem").textContent');
  expect(await page.text('#problem')).toMatch(/graph/i);
  await count(page, 1000);
  await asksForNote(page);
  expect(await page.text('#problem')).toBe('');
}, 60_000);

it('has one owner: a second tab waits, and takes over when the first is closed', async () => {
  const first = await open();
  await count(first, 50_000_000);
  await doneAtLeast(first, 1);
  const second = await open(first);
  expect(await second.text('#elsewhere')).toBe('It goes on in another tab.');
  await second.until('!document.getElementById("elsewhere").hidden');
  await first.close();
  pages.splice(pages.indexOf(first), 1);
  await second.until('document.getElementById("elsewhere").hidden');
  const there = await done(second);
  await doneAtLeast(second, there + 1);
}, 60_000);

it('is as small as its README says, and has nothing of Node in it', async () => {
  const { bytes, metafile } = await bundle({ entryPoints: [`${folder}/app.ts`] });
  expect(outOfPlace(metafile)).toEqual([]);
  const said = Number(/about (\d+) kB/.exec(readme)?.[1]);
  expect(Math.abs(bytes / 1000 - said)).toBeLessThan(3);
});
