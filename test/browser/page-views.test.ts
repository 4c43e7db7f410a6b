/** The other views of the page, and what holds for all of them: names that are markup, contrast, size, what it asks for. */
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createActor, createMachine, sendTo } from 'xstate';
import { each, task } from 'taskchart';
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { showCheckpoint } from '../../src/inspect/checkpoint.ts';
import { OPEN_MOST } from '../../src/inspect/page/model/run-rows.ts';
import { openRelay, type OpenRelay } from '../../src/inspect/relay/server.ts';
import { World, onRedis } from '../remote/support/workers.ts';
import { body, box, find, HOSTILE, inState, pageText, postHostileRun, shows, Stage } from './page-support.ts';
import { diamond, failingGroup, fanOut, layers, refund, release } from './page-workflows.ts';
import { launch, launchTimeoutMs, type Browser } from './support/browser.ts';
import type { Page } from './support/page.ts';

let browser: Browser;
let stage: Stage | undefined;

beforeAll(async () => { browser = await launch(); }, launchTimeoutMs);
afterAll(() => browser?.close());
afterEach(async () => {
  await stage?.close();
  stage = undefined;
});

const lit = `Array.from(document.querySelectorAll('.state.active'), (each) => each.dataset.statePath)`;

describe('the statechart', () => {
  it('lights the active state of a run, and the transition that led to it', async () => {
    stage = await Stage.open(browser);
    const run = refund().start({ id: 'order-17', amount: 40 }, { inspect: stage.inspector() });
    const page = await stage.look('#tab=statechart');
    await page.until(`${lit}.includes('waiting')`);
    expect(await page.text('.panel')).toContain('state machine');
    run.pause();
    await page.until(`${lit}.includes('paused')`);
    await page.until(`document.querySelectorAll('.edge.latest').length > 0`);
    await page.until(shows('.transitions .latest', 'waiting → paused'));
    run.cancel('enough');
    await page.until(`${lit}.includes('cancelled')`);
    await expect(run.result).rejects.toThrow('enough');
    expect(page.problems()).toEqual([]);
  });

  it('shows any actor: one machine of a user, another that it has started, and what is no machine', async () => {
    stage = await Stage.open(browser);
    const lamp = createMachine({ id: 'lamp', initial: 'off', states: { off: { on: { PRESS: 'on' } }, on: { on: { PRESS: 'off' }, type: 'parallel', states: { colour: { initial: 'warm', states: { warm: { on: { TURN: 'cold' } }, cold: {} } }, fan: {} } } } });
    const house = createMachine({ id: 'house', invoke: { src: lamp, id: 'lamp' }, initial: 'day', states: { day: { on: { DUSK: { target: 'night', actions: sendTo('lamp', { type: 'PRESS' }) } } }, night: {} } });
    const actor = createActor(house, { inspect: stage.inspector() }).start();
    const page = await stage.look();
    await page.until(`${lit}.includes('day')`);
    expect(await page.texts('.tabs button')).toEqual(['Statechart', 'Messages']);
    actor.send({ type: 'DUSK' });
    await page.until(`${lit}.includes('night')`);
    await page.click(await find(page, '.actors .row', 'lamp'));
    await page.until(`${lit}.includes('on.colour.warm') && ${lit}.includes('on.fan')`);
    await page.click('#tab-messages');
    await page.until(shows('.lane-heads', 'lamp'));
    await page.click(await find(page, '.lane-body .row', 'PRESS'));
    await page.until(shows('.drawer', '"type": "PRESS"'));
    actor.stop();
    expect(page.problems()).toEqual([]);
  });
});

describe('messages and queue', () => {
  it('shows messages between the actors in the order of time', async () => {
    stage = await Stage.open(browser);
    const run = diamond(stage.gates).start('eu', { inspect: stage.inspector() });
    const page = await stage.look('#tab=messages');
    stage.gates.open('fetchUsers', 'geo', 'score');
    await run.result;
    await page.until(shows('.lane-body', 'SETTLED'));
    expect(await page.texts('.lane-head')).toContain('executor');
    const times = await page.texts('.lane-body .row .lane-time');
    expect(times).toEqual(times.toSorted());
    expect(times.length).toBeGreaterThan(4);
    await page.type('.view .filter', 'ready');
    await page.until(`document.querySelectorAll('.lane-body .row').length === 1`);
    expect(page.problems()).toEqual([]);
  });

  it('shows the queue, what is in flight and the channel, and leads to the task', async () => {
    stage = await Stage.open(browser);
    const run = release(stage.gates).start('2.4.0', { inspect: stage.inspector() });
    run.result.catch(() => undefined);
    const page = await stage.look('#tab=queue');
    await page.until(shows('.queue', 'audit'));
    expect(await page.text('.queue')).toContain('"2.4.0"');
    await page.click(await find(page, '.queue .link', 'unit'));
    await page.until(shows('.panel h2', 'unit'));
    await page.until(shows('.panel', '"commit": "9f3c2e1"'));
    run.cancel();
    await page.until(shows('.queue', 'Nothing is being executed.'));
    expect(page.problems()).toEqual([]);
  });
});

describe('branches at a worker', () => {
  it('are one row under it, which opens to a bounded list, and never among the runs', async () => {
    const [world, opened] = [new World(), await Stage.open(browser)];
    stage = opened;
    try {
      let begun = 0;
      const flow = world.workflow('payments', each(task('pay', async (n: number) => { begun += 1; await opened.gates.pass('pay'); return n; }).to('sent', (n: number) => n)).withExecution(onRedis).as('all'));
      const run = flow.start(Array.from({ length: 30 }, (_, at) => at), { runId: 'payments-of-march', clock: world.clock, inspect: opened.inspector() });
      await world.started('w1', { concurrency: 30, inspect: opened.inspector() });
      await world.until(() => begun === 30);
      const page = await opened.look();
      await page.until(shows('.runs.others', '30 branches, 30 running'));
      expect(await page.count('.runs:not(.others) .row')).toBe(1);
      expect(await page.text('.runs:not(.others) .row')).toContain('payments-of-march');
      expect(await page.count('.runs.others .row')).toBe(2);
      await page.click(await find(page, '.runs.others .row', '30 branches'));
      await page.until(`document.querySelectorAll('.runs.others .row').length > 2`);
      expect(await page.evaluate(`document.querySelector('.runs.others .row').getAttribute('aria-setsize')`)).toBe(String(2 + OPEN_MOST));
      await page.click('.runs.others .row:nth-child(3)');
      await page.until(shows('.panel', 'branch of another run'));
      await page.click(await find(page, '.runs.others .row', '30 branches'));
      await page.until(`document.querySelectorAll('.runs.others .row').length === 2`);
      await page.until(shows('.runs.others .row.picked', '30 branches'));
      opened.gates.open('pay');
      await world.run(run);
      expect(page.problems()).toEqual([]);
    } finally {
      await world.close();
    }
  });
});

describe('large graphs', () => {
  it('draws 500 nodes without one over another', async () => {
    stage = await Stage.open(browser);
    const run = layers(25, 20, stage.gates).start(undefined, { inspect: stage.inspector() });
    const page = await stage.look();
    await page.until(`document.querySelectorAll('.node').length === 501`);
    expect(await page.evaluate(overlaps)).toEqual([]);
    expect(await page.evaluate<number>(`document.querySelectorAll('.edge').length`)).toBe(936);
    stage.gates.open('half');
    await run.result;
    await page.until(inState('step-24-19', 'done'));
    expect(page.problems()).toEqual([]);
  });

  it('leaves a group where it is when it is closed and opened', async () => {
    stage = await Stage.open(browser);
    void diamond(stage.gates).start('eu', { inspect: stage.inspector() }).result.catch(() => undefined);
    const page = await stage.look();
    await page.until(inState('fetchUsers', 'running'));
    const [group = ''] = await page.evaluate<string[]>(`Array.from(document.querySelectorAll('.node.open'), (each) => each.dataset.box)`);
    const place = `(({ x, y, width }) => [Math.round(x + width / 2), Math.round(y)])(document.querySelector(${JSON.stringify(box(group))}).getBoundingClientRect())`;
    const before = await page.evaluate(place);
    await page.click(`${box(group)} .toggle`);
    await page.until(`document.querySelector(${JSON.stringify(box(group))}).classList.contains('closed')`);
    expect(await page.evaluate(place)).toEqual(before);
    expect(await page.count(box('geo'))).toBe(0);
    await page.click(`${box(group)} .toggle`);
    await page.until(`document.querySelector(${JSON.stringify(box('geo'))}) !== null`);
    expect(await page.evaluate(place)).toEqual(before);
    stage.gates.open('fetchUsers', 'geo', 'score');
  });
});

const overlaps = `(() => {
  const boxes = Array.from(document.querySelectorAll('.node.card'), (each) => ({ id: each.dataset.box, r: each.getBoundingClientRect() }));
  const over = [];
  for (let a = 0; a < boxes.length; a += 1) for (let b = a + 1; b < boxes.length; b += 1) {
    const [p, q] = [boxes[a].r, boxes[b].r];
    if (p.left < q.right - 0.5 && q.left < p.right - 0.5 && p.top < q.bottom - 0.5 && q.top < p.bottom - 0.5) over.push(boxes[a].id + ' ' + boxes[b].id);
  }
  return over;
})()`;

describe('a checkpoint', () => {
  const open = async (known: boolean): Promise<{ page: Page; relay: OpenRelay }> => {
    const flow = refund();
    const run = flow.start({ id: 'order-17', amount: 40 });
    await new Promise<void>((waits) => run.on(({ type }) => type === 'run.waiting' && waits()));
    const shown = showCheckpoint(parseCheckpoint(JSON.stringify(run.snapshot())), 'checkpoint0', known ? flow.definition : undefined, []);
    run.cancel();
    await expect(run.result).rejects.toThrow('cancelled');
    const relay = await openRelay({ page: await pageText() });
    relay.hub.show('checkpoint0', { kind: 'file', title: 'order-17.json' }, shown.messages, (session, command) => shown.answer(session, command));
    return { relay, page: await browser.open(relay.url, { width: 1440, height: 900 }) };
  };

  it('is looked at without a process: what it waits for, its values, and nothing to steer', async () => {
    const { page, relay } = await open(true);
    await page.until(inState('approve', 'waiting'));
    expect(await page.text('.panel')).toContain('read from a checkpoint file, no process runs it');
    expect(await page.text('.waits')).toContain('Refund 40 for order-17?');
    expect(await page.count('.controls button, .waits textarea')).toBe(0);
    await page.click(body('approve'));
    await page.until(shows('.panel', '"amount": 40'));
    expect(page.problems()).toEqual([]);
    await relay.close();
    await page.close();
  });

  it('says that only names are known, where the workflow is not given', async () => {
    const { page, relay } = await open(false);
    await page.until(shows('.hint', 'Only the names of the tasks are known'));
    await page.until(inState('approve', 'waiting'));
    expect(page.problems()).toEqual([]);
    await relay.close();
    await page.close();
  });
});

describe('hostile names', () => {
  it('shows markup in names, values, questions, errors and logs as text', async () => {
    stage = await Stage.open(browser);
    await postHostileRun(stage.relay.url);
    const page = await stage.look();
    await page.until(`document.querySelectorAll('.node').length === 2`);
    for (const tab of ['statechart', 'messages', 'queue', 'log', 'graph']) {
      await page.click(`#tab-${tab}`);
      await page.until(`document.querySelector('#tab-${tab}').getAttribute('aria-selected') === 'true'`);
      expect(await page.text('body')).toContain(HOSTILE);
    }
    await page.click(body(HOSTILE));
    await page.until(`document.querySelector('.panel h2')?.innerText === ${JSON.stringify(HOSTILE)}`);
    expect(await page.text('.panel')).toContain(JSON.stringify(HOSTILE));
    expect(await page.count('img, script[src], iframe, a[href]')).toBe(0);
    expect(await page.evaluate('document.title')).toContain('<img');
    expect(await page.evaluate('document.title')).not.toBe('owned');
    expect(page.problems()).toEqual([]);
  });

  it('shows hostile values of an ordinary run as text', async () => {
    stage = await Stage.open(browser);
    const run = refund().start({ id: HOSTILE, amount: 1 }, { inspect: stage.inspector({ title: HOSTILE }) });
    run.result.catch(() => undefined);
    const page = await stage.look();
    await page.until(shows('.waits', JSON.stringify(`Refund 1 for ${HOSTILE}?`)));
    run.cancel(HOSTILE);
    await page.until(shows('.panel', 'Why it was cancelled'));
    expect(await page.text('.panel')).toContain(HOSTILE);
    expect(await page.count('img')).toBe(0);
    expect(page.problems()).toEqual([]);
  });
});

describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
  it('every text has a contrast of 4.5 at least', async () => {
    stage = await Stage.open(browser);
    const runs = [release(stage.gates).start('2.4.0', { inspect: stage.inspector() }), refund().start({ id: 'order-17', amount: 40 }, { inspect: stage.inspector() }), failingGroup().start(undefined, { inspect: stage.inspector() }), fanOut(stage.gates).start(1000, { inspect: stage.inspector() })];
    for (const run of runs) run.result.catch(() => undefined);
    const page = await stage.look('', { colorScheme });
    await page.until(`document.querySelectorAll('.runs .row').length === 4`);
    const poor = new Set<string>();
    const look = async (where: string): Promise<void> => {
      for (const line of await page.evaluate<string[]>(poorTexts)) poor.add(`${where}: ${line}`);
    };
    for (const [workflow, node] of [['refund', 'approve'], ['briefing', 'stocks'], ['thumbnails', 'resizeAll'], ['release', 'unit']] as const) {
      await page.click(await find(page, '.runs .row', workflow));
      await page.until(`document.querySelector(${JSON.stringify(body(node))}) !== null`);
      await look(workflow);
      await page.click(body(node));
      await page.until(shows('.panel h2', node));
      await look(`${workflow} ${node}`);
    }
    for (const tab of ['statechart', 'messages', 'queue', 'log']) {
      await page.click(`#tab-${tab}`);
      await page.until(`document.querySelector('#tab-${tab}').getAttribute('aria-selected') === 'true'`);
      await look(tab);
    }
    await page.press(',');
    await page.until('document.querySelector(".time.in-past") !== null');
    await look('past');
    expect([...poor]).toEqual([]);
    for (const run of runs) run.cancel();
  }, 40_000);
});

/** Texts whose colour is too near to what is behind them. Half-transparent grounds are mixed with what is under them. */
const poorTexts = `(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data].map((each) => each / 255); };
  const over = ([r, g, b, a], under) => [r, g, b].map((each, at) => each * a + under[at] * (1 - a)).concat(1);
  const behind = (element) => { if (element === null) return rgba(getComputedStyle(document.body).backgroundColor); const ground = rgba(getComputedStyle(element).backgroundColor); return ground[3] === 1 ? ground : over(ground, behind(element.parentElement)); };
  const light = (colour) => { const [r, g, b] = colour.slice(0, 3).map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const poor = [];
  const walker = document.createTreeWalker(document.querySelector('.app'), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === '' || !element.checkVisibility({ checkVisibilityCSS: true }) || element.closest(':disabled, option, .hidden') !== null) continue;
    const ground = behind(element);
    const colour = over(rgba(getComputedStyle(element).color), ground);
    const [a, b] = [light(colour), light(ground)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) poor.push(contrast.toFixed(2) + ' ' + element.className + ' ' + node.data.slice(0, 30));
  }
  return poor;
})()`;

describe('the file', () => {
  it('is small, holds everything that it needs, and no inline handlers', async () => {
    const text = await pageText();
    expect(gzipSync(text).length).toBeLessThan(250_000);
    const markup = text.replaceAll(/<(script|style)>[\s\S]*?<\/\1>/g, '');
    expect(markup).not.toMatch(/\son\w+=|\bsrc=|https?:/);
    expect(markup).toContain("require-trusted-types-for 'script'; trusted-types 'none'");
    expect(/\beval\(|\bnew Function\b/.test(text)).toBe(false);
    expect(text).toContain('Copyright (c) 2015-present Jason Miller');
  });
});

