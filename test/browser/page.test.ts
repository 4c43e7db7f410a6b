/** The inspector's page in a real browser, on the real relay, with real runs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startRelay } from '../../src/inspect.ts';
import { body, box, find, inState, pageText, shows, Stage, states, step } from './page-support.ts';
import { diamond, failingGroup, fanOut, refund } from './page-workflows.ts';
import { launch, launchTimeoutMs, type Browser } from './support/browser.ts';
import type { Page } from './support/page.ts';

let browser: Browser;
let stage: Stage;

beforeAll(async () => { browser = await launch(); }, launchTimeoutMs);
afterAll(() => browser?.close());
afterEach(() => stage?.close());

/** Nothing was complained of, and nothing was asked of anyone but the relay. */
function expectClean(page: Page): void {
  expect(page.problems()).toEqual([]);
  const { origin } = new URL(stage.relay.url);
  expect(page.requests.filter(({ url }) => !url.startsWith(origin) && url !== 'data:,').map(({ url }) => url)).toEqual([]);
}

const picture = `Array.from(document.querySelectorAll('.node, .tabs button, .panel h2'), (each) => { const { x, y, width } = each.getBoundingClientRect(); return [each.dataset.box ?? each.innerText, x, y, width].join(' '); })`;

describe('a diamond', () => {
  it('is shown as it goes on: states, progress, values, and nothing moves', async () => {
    stage = await Stage.open(browser);
    const run = diamond(stage.gates).start('eu', { inspect: stage.inspector() });
    const page = await stage.look();
    await page.until(inState('fetchUsers', 'running'));
    expect(await page.evaluate(states)).toMatchObject({ fetchUsers: 'running', geo: 'pending', score: 'pending', store: 'pending' });
    const places = await page.evaluate(picture);
    stage.gates.open('fetchUsers', 'geo');
    await page.until(inState('geo', 'done'));
    await page.until(inState('score', 'running'));
    await page.until(shows(body('score'), '1/2 scored'));
    expect(await page.evaluate(picture)).toEqual(places);
    await page.click(body('geo'));
    await page.until(shows('.panel', '"city": "Oslo"'));
    stage.gates.open('score');
    await run.result;
    await page.until(inState('store', 'done'));
    await page.until(shows('.top .badge', 'completed'));
    await page.click(body('store'));
    await page.until(shows('.panel', '"score": 14'));
    await page.press('Escape');
    await page.until(shows('.panel h2', 'enrich'));
    expect(await page.text('.panel')).toContain('"rows": 2');
    expect(await page.count('.controls button')).toBe(0);
    await page.press('5');
    await page.until(shows('.log', 'stored'));
    expectClean(page);
  });

  it('looks the same to one who comes late, and to one who comes when it is over', async () => {
    stage = await Stage.open(browser);
    const run = diamond(stage.gates).start('eu', { inspect: stage.inspector() });
    const early = await stage.look();
    stage.gates.open('fetchUsers', 'geo');
    await early.until(inState('geo', 'done'));
    const late = await stage.look();
    await late.until(inState('score', 'running'));
    expect(await late.evaluate(states)).toEqual(await early.evaluate(states));
    stage.gates.open('score');
    await run.result;
    await early.until(inState('store', 'done'));
    const last = await stage.look();
    await last.until(inState('store', 'done'));
    expect(await last.evaluate(states)).toEqual(await early.evaluate(states));
    await last.click(body('fetchUsers'));
    await last.until(shows('.panel', '"age": 41'));
    expectClean(last);
  });

  it('can be gone back through, and the graph follows', async () => {
    stage = await Stage.open(browser);
    const run = diamond(stage.gates).start('eu', { inspect: stage.inspector() });
    const page = await stage.look();
    for (const name of ['fetchUsers', 'geo', 'score']) {
      await page.until(inState(name, 'running'));
      stage.gates.open(name);
      await page.until(inState(name, 'done'));
    }
    await run.result;
    await page.until(inState('store', 'done'));
    await page.press(',');
    await page.until(`document.querySelector('.time.in-past') !== null`);
    await step(page, ',', inState('fetchUsers', 'running'));
    expect(await page.evaluate(states)).toMatchObject({ geo: 'pending', score: 'pending', store: 'pending' });
    expect(await page.text('.top .badge')).toContain('running');
    expect(await page.count('.controls button')).toBe(0);
    await step(page, '.', inState('geo', 'done'));
    expect(await page.evaluate(states)).toMatchObject({ fetchUsers: 'done', store: 'pending' });
    await page.press('l');
    await page.until(inState('store', 'done'));
    expect(await page.count('.time.in-past')).toBe(0);
    expectClean(page);
  });

  it('is dragged through time by the slider', async () => {
    stage = await Stage.open(browser);
    const run = diamond(stage.gates).start('eu', { inspect: stage.inspector() });
    const page = await stage.look();
    await page.until(inState('fetchUsers', 'running'));
    stage.gates.open('fetchUsers', 'geo', 'score');
    await run.result;
    await page.until(inState('store', 'done'));
    await page.evaluate(`document.querySelector('.slider').focus()`);
    await page.press('Home');
    await page.until(`document.querySelector('.time.in-past') !== null && document.querySelector('.slider').value === '0'`);
    await page.until(inState('store', 'pending'));
    await page.press('End');
    await page.until(inState('store', 'done'));
    await page.click('.time .live');
    await page.until(`document.querySelector('.time.in-past') === null`);
    expectClean(page);
  });
});

describe('a failing group', () => {
  it('says which member has failed, why, and what was skipped', async () => {
    stage = await Stage.open(browser);
    const run = failingGroup().start(undefined, { inspect: stage.inspector() });
    await expect(run.result).rejects.toThrow('the exchange is closed');
    const page = await stage.look();
    await page.until(inState('stocks', 'failed'));
    expect(await page.evaluate(states)).toMatchObject({ news: 'done', weather: 'done', write: 'skipped' });
    expect(await page.text(body('stocks'))).toContain('RangeError');
    expect(await page.text('.panel')).toContain('ParallelGroupError');
    await page.click(body('stocks'));
    await page.until(shows('.panel h2', 'stocks'));
    expect(await page.text('.panel')).toContain('the exchange is closed until Monday');
    expect(await page.text('.panel')).toContain('2 attempts, fixed');
    expectClean(page);
  });
});

describe('a fan-out of 1,000', () => {
  it('is counts when closed, and a list that is filtered and drawn in part when looked into', async () => {
    stage = await Stage.open(browser);
    const run = fanOut(stage.gates).start(1000, { inspect: stage.inspector() });
    const page = await stage.look();
    await page.until(shows(body('resizeAll'), '950/1,000 done'));
    expect(await page.text(body('resizeAll'))).toContain('10 failed');
    await page.click(body('resizeAll'));
    await page.until(`Array.from(document.querySelectorAll('.panel .chip'), (each) => each.innerText.replace(/\\s+/g, ' ')).includes('done 950')`);
    expect(await page.count('.panel .virtual .row')).toBeLessThan(40);
    await page.click(await find(page, '.chip', 'failed'));
    await page.until(`document.querySelectorAll('.panel .virtual .row').length === 10`);
    await page.type('.panel .filter', '0237');
    await page.until(`document.querySelectorAll('.panel .virtual .row').length === 1`);
    await page.click('.panel .virtual .row');
    await page.until(shows('.member', 'photo-0237.jpg is no picture: it begins with <!doctype html>'));
    await page.until(shows('.member', '"held": false'));
    stage.gates.open('last');
    await run.result;
    await page.until(shows(body('resizeAll'), '990/1,000 done'));
    expectClean(page);
  });

  it('is gone through with the keyboard alone', async () => {
    stage = await Stage.open(browser);
    void fanOut(stage.gates).start(1000, { inspect: stage.inspector() }).result.catch(() => undefined);
    const page = await stage.look();
    await page.until(shows(body('resizeAll'), '950/1,000'));
    await page.evaluate(`document.querySelector('.node-body[tabindex="0"]').focus()`);
    await page.press('ArrowDown');
    await page.until(`document.activeElement.closest('.node')?.dataset.box === 'resizeAll'`);
    await page.press('Enter');
    await page.until(shows('.panel h2', 'resizeAll'));
    await page.press('o');
    await page.until(`document.querySelector(${JSON.stringify(box('resize'))}) !== null`);
    await page.press('/');
    await page.until(`document.activeElement.classList.contains('filter')`);
    await page.press('Escape');
    await page.evaluate(`document.querySelector('.panel .virtual').focus()`);
    await page.press('End');
    await page.until(shows('.panel .row.active', '999'));
    await page.press('Enter');
    await page.until(shows('.member-head', '999'));
    await page.press('Escape');
    await page.until(`document.querySelector('.member') === null`);
    await page.press('Escape');
    await page.until(shows('.panel h2', 'thumbnails'));
    stage.gates.open('last');
    expectClean(page);
  });
});

describe('a wait', () => {
  it('is explained, and answered from the page', async () => {
    stage = await Stage.open(browser);
    const run = refund().start({ id: 'order-17', amount: 40 }, { inspect: stage.inspector() });
    const [page, other] = [await stage.look(), await stage.look()];
    await page.until(shows('.panel', 'Why it is waiting'));
    expect(await page.text('.waits')).toContain('Refund 40 for order-17?');
    await page.type('.waits textarea', 'tru');
    await page.until(shows('.waits', 'This is no JSON yet.'));
    await page.type('.waits textarea', 'true');
    await page.click(await find(page, '.waits button', 'Send'));
    await page.until(inState('paid', 'waiting'));
    await other.until(inState('paid', 'waiting'));
    await other.until(shows('.waits', 'waits for the signal'));
    await other.type('.waits textarea', 'in cash');
    await other.click(await find(other, '.waits button', 'Send as text'));
    expect(await run.result).toEqual({ closed: true, paid: 'in cash' });
    for (const each of [page, other]) await each.until(shows('.top .badge', 'completed'));
    expectClean(page);
    expectClean(other);
  });

  it('shows what a refused signal was refused for', async () => {
    stage = await Stage.open(browser);
    const run = refund().start({ id: 'order-17', amount: 40 }, { inspect: stage.inspector() });
    const page = await stage.look();
    await page.until(shows('.panel', 'Why it is waiting'));
    await page.click('details summary');
    await page.type('details input', 'nobody waits for this');
    await page.type('details textarea', '1');
    await page.click(await find(page, 'details button', 'Send'));
    await page.until(`document.querySelector('details .said').innerText !== ''`);
    run.cancel('enough');
    await expect(run.result).rejects.toThrow('enough');
    await page.until(shows('.panel', 'Why it was cancelled'));
    expectClean(page);
  });
});

describe('steering a run', () => {
  it('pauses, resumes and cancels it with a reason', async () => {
    stage = await Stage.open(browser);
    const run = diamond(stage.gates).start('eu', { inspect: stage.inspector() });
    const page = await stage.look();
    await page.until(inState('fetchUsers', 'running'));
    await page.click(await find(page, '.controls button', 'Pause'));
    await page.until(shows('.top .badge', 'paused'));
    await page.click(await find(page, '.controls button', 'Resume'));
    await page.until(shows('.top .badge', 'running'));
    await page.click(await find(page, '.controls button', 'Cancel'));
    await page.type('dialog[open] input', 'changed my mind');
    await page.click(await find(page, 'dialog[open] button', 'Cancel the run'));
    await expect(run.result).rejects.toThrow('changed my mind');
    await page.until(shows('.top .badge', 'cancelled'));
    expect(await page.text('.panel')).toContain('changed my mind');
    expectClean(page);
  });

  it('is offered only where the run and the relay allow it', async () => {
    stage = await Stage.open(browser, { readOnly: true });
    const gates = stage.gates;
    void refund().start({ id: 'order-17', amount: 40 }, { inspect: stage.inspector() }).result.catch(() => undefined);
    const page = await stage.look();
    await page.until(shows('.panel', 'Why it is waiting'));
    expect(await page.count('.controls button, .waits textarea')).toBe(0);
    await stage.close();
    stage = await Stage.open(browser);
    void diamond(gates).start('eu', { inspect: stage.inspector({ control: ['pause'] }) }).result.catch(() => undefined);
    const limited = await stage.look();
    await limited.until(inState('fetchUsers', 'running'));
    expect(await limited.texts('.controls button')).toEqual(['Pause']);
    gates.open('fetchUsers', 'geo', 'score');
    expectClean(limited);
  });
});

describe('a crash', () => {
  const child = fileURLToPath(new URL('page-crash-child.ts', import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), 'taskchart-page-'));
  const started: ChildProcess[] = [];
  const start = (mode: string): ChildProcess => {
    const one = spawn(process.execPath, ['--import', 'tsx', child, mode, stage.relay.url, folder], { stdio: ['ignore', 'ignore', 'inherit'] });
    started.push(one);
    return one;
  };
  afterAll(() => {
    for (const one of started) one.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('is seen, and the run is followed to the process that resumes it', async () => {
    stage = await Stage.open(browser);
    const page = await stage.look();
    await page.until(shows('.welcome', 'Nothing is connected yet'));
    const first = start('start');
    await page.until(inState('load', 'running'));
    first.kill('SIGKILL');
    await page.until(shows('.top .badge', 'lost'));
    expect(await page.text('.panel')).toContain('it may have crashed');
    expect(await page.count('.controls button')).toBe(0);
    start('resume');
    await page.until(inState('report', 'done'));
    await page.until(shows('.top .badge', 'completed'));
    expect(await page.text('.panel')).toContain('"6 rows"');
    const rows = await page.texts('.runs .row');
    expect(rows.map((row) => [row.includes('earlier process, lost'), row.includes('completed')])).toEqual([[false, true], [true, false]]);
    const ids = await page.evaluate<string[]>(`Array.from(document.querySelectorAll('.runs .row .mono'), (each) => each.title)`);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    expectClean(page);
  }, 40_000);
});

describe('who is let in', () => {
  it('refuses a wrong token, and tells nothing', async () => {
    stage = await Stage.open(browser);
    void refund().start({ id: 'order-17', amount: 40 }, { inspect: stage.inspector() }).result.catch(() => undefined);
    const url = new URL(stage.relay.url);
    url.searchParams.set('token', 'x'.repeat(24));
    const page = await browser.open(url.href);
    expect(await page.text('body')).toContain('token is missing or wrong');
    expect(await page.evaluate('document.documentElement.outerHTML')).not.toContain('refund');
    expect(page.requests.find(({ type }) => type === 'Document')?.status).toBe(403);
    await page.close();
  });

  it('says so when the relay comes back with another token, and goes on when it comes back with the same', async () => {
    const token = 'a-token-for-this-test-alone';
    stage = await Stage.open(browser, { token });
    const { port } = stage.relay;
    const page = await browser.open(stage.relay.url);
    await page.until(shows('.link-state', 'live'));
    await stage.relay.close();
    await page.until(shows('.link-state', 'trying again'));
    const second = await startRelay({ port, token, page: await pageText() });
    await page.until(shows('.link-state', 'live'));
    await second.close();
    const third = await startRelay({ port, token: `${token}-another`, page: await pageText() });
    await page.until(shows('.welcome', 'no longer valid'));
    await third.close();
    expect(page.requests.every(({ url }) => url.startsWith(new URL(stage.relay.url).origin) || url === 'data:,')).toBe(true);
    await page.close();
  }, 40_000);
});

describe('nothing to show', () => {
  it('fits a narrow window: nothing lies over the address, and nothing is cut', async () => {
    stage = await Stage.open(browser);
    const page = await stage.look('', { width: 360, height: 740 });
    await page.until(shows('.welcome', 'Nothing is connected yet'));
    const blocks = await page.evaluate<{ over: boolean; cut: boolean }[]>(`Array.from(document.querySelectorAll('.code'), (each) => {
      const [pre, copy] = [each.querySelector('pre'), each.querySelector('.copy')];
      return { over: copy.getBoundingClientRect().bottom > pre.getBoundingClientRect().top, cut: pre.scrollWidth > pre.clientWidth || pre.scrollHeight > pre.clientHeight };
    })`);
    expect(blocks).toEqual([{ over: false, cut: false }, { over: false, cut: false }]);
    const empty = await page.evaluate<{ bottom: number; width: number; content: number }>(`(() => { const { scrollWidth, clientWidth } = document.querySelector('.empty'); return { bottom: document.querySelector('.empty').getBoundingClientRect().bottom, width: clientWidth, content: scrollWidth }; })()`);
    expect(empty.bottom).toBe(740);
    expect(empty.content).toBe(empty.width);
    expectClean(page);
  });

  it('tells how to connect, with the address of this relay', async () => {
    stage = await Stage.open(browser);
    const page = await stage.look();
    await page.until(shows('.welcome', 'Nothing is connected yet'));
    expect(await page.text('.welcome')).toContain(`TASKCHART_INSPECT='${stage.relay.url}' node app.js`);
    expect(await page.text('.welcome')).toContain(`connectInspector(\n  '${stage.relay.url}',`);
    void refund().start({ id: 'order-17', amount: 40 }, { inspect: stage.inspector() }).result.catch(() => undefined);
    await page.until(inState('approve', 'waiting'));
    expectClean(page);
  });
});
