/** The driver itself: what the tests of pages rely on, and how it fails. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, launchTimeoutMs, type Browser } from './support/browser.ts';
import { findChromium } from './support/find.ts';
import { serve, type Served } from './support/serve.ts';

const html = `<!doctype html><title>Driver</title><style>body { margin: 0; height: 3000px } #far { margin-top: 2000px } #cover { position: fixed; inset: 0 } #cover[hidden] { display: none }</style>
<input id="name" value="before"><button id="greet">Greet</button><output id="said"></output><p class="row">one</p><p class="row">two</p>
<svg width="50" height="20"><text id="label" y="15">svg</text></svg><button id="far">Far</button><div id="cover" hidden></div>
<script>
  const said = document.getElementById('said');
  greet.onclick = (event) => { said.textContent = 'Hello ' + document.getElementById('name').value + (event.isTrusted ? '' : ' (faked)'); };
  greet.ondblclick = () => { said.textContent += '!'; };
  far.onclick = () => { said.textContent = 'far ' + (scrollY > 0); };
  document.onkeydown = (event) => { if (event.target.id !== 'name') said.textContent = event.key + ' ' + event.code + ' ' + event.shiftKey; };
  document.getElementById('name').onkeydown = (event) => { if (event.key === 'Enter') said.textContent = 'entered ' + event.target.value; };
</script>`;

const folder = mkdtempSync(join(tmpdir(), 'taskchart-driver-'));
let browser: Browser;
let site: Served;

beforeAll(async () => {
  writeFileSync(join(folder, 'index.html'), html);
  [browser, site] = [await launch(), await serve(folder)];
}, launchTimeoutMs);
afterAll(async () => {
  await browser?.close();
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

const open = () => browser.open(`${site.origin}/`, { width: 600, height: 400 });

describe('a page in the driver\'s hands', () => {
  it('gives real input: clicks, double clicks, text, keys', async () => {
    const page = await open();
    await page.type('#name', 'Ünal 数');
    await page.click('#greet');
    expect(await page.text('#said')).toBe('Hello Ünal 数');
    await page.click('#greet', { count: 2 });
    expect(await page.text('#said')).toBe('Hello Ünal 数!');
    await page.click('#name');
    await page.press('Enter');
    expect(await page.text('#said')).toBe('entered Ünal 数');
    await page.evaluate('document.activeElement.blur()');
    await page.press('Shift+ArrowDown');
    expect(await page.text('#said')).toBe('ArrowDown ArrowDown true');
    await page.press('j');
    expect(await page.text('#said')).toBe('j KeyJ false');
    await page.close();
  });

  it('brings into view what it clicks, and waits until nothing covers it', async () => {
    const page = await open();
    await page.click('#far');
    expect(await page.text('#said')).toBe('far true');
    await page.evaluate('cover.hidden = false');
    await expect(page.click('#greet', { timeoutMs: 100 })).rejects.toThrow(/waited 100 ms for/);
    await page.evaluate('setTimeout(() => { cover.hidden = true; }, 50), 0');
    await page.click('#greet');
    expect(await page.text('#said')).toBe('Hello before');
    await page.close();
  });

  it('reads texts and counts, of pictures as well', async () => {
    const page = await open();
    expect([await page.texts('.row'), await page.count('.row'), await page.texts('#label')]).toEqual([['one', 'two'], 2, ['svg']]);
    await page.close();
  });

  it('waits for a condition over a reload, and a wait that fails says what it saw', async () => {
    const page = await open();
    await page.evaluate('sessionStorage.visits = "1"');
    const waited = page.until<string>('window.ready');
    await page.reload();
    await page.evaluate('setTimeout(() => { window.ready = "visit " + sessionStorage.visits; }, 30), 0');
    expect(await waited).toBe('visit 1');
    await page.evaluate('console.error("out of paper")');
    await expect(page.until('window.never', { timeoutMs: 60 })).rejects.toThrow(/waited 60 ms for window\.never, but it is undefined\nthe page said:\n {2}error: out of paper/);
    await expect(page.evaluate('missing.thing')).rejects.toThrow(/in the page, missing\.thing: ReferenceError: missing is not defined/);
    await page.close();
  });

  it('records the console, uncaught errors and dialogs, and answers the dialogs', async () => {
    const page = await open();
    await page.evaluate('console.log("a", 1, true), console.warn("careful"), setTimeout(() => { throw new Error("lost"); }), 0');
    expect(await page.evaluate('confirm("really?")')).toBe(false);
    await page.until('new Promise((resolve) => setTimeout(resolve, 1, true))');
    expect(page.console[0]).toEqual({ kind: 'log', text: 'a 1 true' });
    expect(page.problems().map((line) => line.split('\n')[0])).toEqual(expect.arrayContaining(['warning: careful', 'dialog: confirm: really?', 'exception: Error: lost']));
    await page.close();
  });

  it('records requests; one that would leave the machine fails', async () => {
    const page = await open();
    const outcomes = await page.evaluate<string[]>(`Promise.all(['/missing.js', 'http://elsewhere.example/x'].map((url) => fetch(url).then(({ status }) => 'got ' + status, () => 'failed')))`);
    expect(outcomes).toEqual(['got 404', 'failed']);
    expect(page.requests.find(({ type }) => type === 'Document')).toMatchObject({ url: `${site.origin}/`, status: 200 });
    expect(page.requests.find(({ url }) => url.endsWith('/missing.js'))).toMatchObject({ status: 404, method: 'GET' });
    await expect.poll(() => page.requests.find(({ url }) => url.includes('elsewhere'))?.failed).toBe('net::ERR_NAME_NOT_RESOLVED');
    await expect(page.goto('http://elsewhere.example/')).rejects.toThrow(/could not be opened: net::ERR_NAME_NOT_RESOLVED/);
    await page.close();
  });

  it('has storage of its own, shared only with a page that is opened beside it', async () => {
    const first = await open();
    await first.evaluate('localStorage.mark = "mine"');
    const [beside, other] = [await browser.open(`${site.origin}/`, { beside: first }), await open()];
    expect([await beside.evaluate('localStorage.mark'), await other.evaluate('localStorage.mark')]).toEqual(['mine', undefined]);
    for (const page of [first, beside, other]) await page.close();
  });

  it('takes pictures in the size and colours that were asked for', async () => {
    const page = await browser.open(`${site.origin}/`, { width: 300, height: 200, scale: 2, colorScheme: 'dark' });
    const file = join(folder, 'picture.png');
    const png = await page.screenshot(file);
    expect([png.subarray(1, 4).toString(), png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual(['PNG', 600, 400]);
    expect(await page.evaluate('matchMedia("(prefers-color-scheme: dark)").matches')).toBe(true);
    await page.close();
  });

  it('says that the page is gone when it has crashed', async () => {
    const page = await open();
    await expect(page.send('Page.crash')).rejects.toThrow(/the page has crashed/);
    const next = await open();
    expect(await next.text('#greet')).toBe('Greet');
    await next.close();
  });
});

describe('the browser', () => {
  it('ends, and whoever waits for it is told', async () => {
    const second = await launch();
    const page = await second.open();
    const waiting = page.evaluate('new Promise(() => undefined)').catch((thrown: unknown) => thrown);
    await second.close();
    expect(String(await waiting)).toMatch(/the browser has ended|closed/i);
    await expect(page.evaluate('1')).rejects.toThrow(/the browser has ended/);
  }, 60_000);

  it('is not looked for elsewhere when one is named', async () => {
    const before = process.env['CHROMIUM_PATH'];
    process.env['CHROMIUM_PATH'] = join(folder, 'none');
    try {
      await expect(findChromium()).rejects.toThrow(/CHROMIUM_PATH is .*none, which is no program/);
    } finally {
      if (before === undefined) delete process.env['CHROMIUM_PATH'];
      else process.env['CHROMIUM_PATH'] = before;
    }
  });
});
