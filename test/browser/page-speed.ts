/**
 * Measures the inspector's page in headless Chromium, and reports. Nothing is asserted: times belong to the machine.
 *
 *   npx tsx test/browser/page-speed.ts
 *
 * - the first picture of a graph of 500 nodes: from the start of the navigation until all boxes are drawn;
 * - a fan-out of 10,000 members that tells of changes 10 times per second, with its list open: frames per second;
 * - going back and forth through its history.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { each, sequence, task, workflow } from 'taskchart';
import { body, pageText, Stage } from './page-support.ts';
import { layers } from './page-workflows.ts';
import { launch, type Browser } from './support/browser.ts';
import type { Page } from './support/page.ts';

const MEMBERS = 10_000;
const ROUNDS = 5;

const browser = await launch();
try {
  const text = await pageText();
  report('the page', `${kilobytes(text.length)}, compressed ${kilobytes(gzipSync(text).length)}`);
  await firstPicture(browser);
  await fanOut(browser);
} finally {
  await browser.close();
}

async function firstPicture(chromium: Browser): Promise<void> {
  const stage = await Stage.open(chromium);
  const run = layers(25, 20, stage.gates).start(undefined, { inspect: stage.inspector() });
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const page = await chromium.open('about:blank', { width: 1440, height: 900 });
    await page.send('Page.addScriptToEvaluateOnNewDocument', { source: whenDrawn(501) });
    await page.goto(stage.relay.url);
    times.push(await page.until<number>('window.drawnAt'));
    await page.close();
  }
  report('first picture of 500 nodes', `${median(times)} ms (${times.join(', ')})`);
  stage.gates.open('half');
  await run.result;
  await stage.close();
}

/** Notes in the page when so many boxes have been painted, milliseconds after the navigation began. */
function whenDrawn(boxes: number): string {
  return `(() => {
    const look = () => {
      if (document.querySelectorAll('.node').length < ${boxes}) return requestAnimationFrame(look);
      requestAnimationFrame(() => { window.drawnAt = Math.round(performance.now()); });
    };
    requestAnimationFrame(look);
  })()`;
}

async function fanOut(chromium: Browser): Promise<void> {
  const stage = await Stage.open(chromium);
  const list = task('list', () => Array.from({ length: MEMBERS }, (_, index) => index));
  const work = task('work', async (index: number) => { await pause(40 + (index % 7) * 10); if (index % 500 === 499) throw new Error(`member ${index} has failed`); return index; });
  const flow = workflow('many', sequence(list, each(work).as('all').withPolicy('bestEffort').withExecution({ backend: 'local', concurrency: 64 })));
  const page = await stage.look();
  const run = flow.start(undefined, { inspect: stage.inspector() });
  await page.until(`document.querySelector(${JSON.stringify(body('all'))}) !== null`);
  await page.click(body('all'));
  await page.until('document.querySelectorAll(".panel .virtual .row").length > 5');
  report('list open, all members', await frames(page, 4));
  await page.evaluate(`setInterval(() => { const list = document.querySelector('.panel .virtual'); list.scrollTop = (list.scrollTop + 900) % list.scrollHeight; }, 50)`);
  report('list open, scrolling', await frames(page, 3));
  await run.result.catch(() => undefined);
  await page.press(',');
  await page.until('document.querySelector(".time.in-past") !== null');
  await page.evaluate(`document.querySelector('.slider').focus()`);
  const started = performance.now();
  const steps = await page.evaluate<number>(`(async () => {
    const slider = document.querySelector('.slider');
    const [max, n] = [Number(slider.max), 60];
    for (let at = 0; at < n; at += 1) {
      slider.value = String(Math.round((max * ((at * 37) % n)) / n));
      slider.dispatchEvent(new Event('input', { bubbles: true }));
      await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
    }
    return n;
  })()`);
  report('jumps through the history', `${Math.round((performance.now() - started) / steps)} ms each, two frames of the screen included`);
  await stage.close();
}

/** How often the page draws, and the longest it did not, while so many changes come. */
async function frames(page: Page, seconds: number): Promise<string> {
  const before = await page.evaluate<string>(`document.querySelector('.top .counts').innerText`);
  const { gaps, updates } = await page.evaluate<{ gaps: number[]; updates: number }>(`(async () => {
    const gaps = [];
    let updates = 0;
    const observer = new MutationObserver(() => { updates += 1; });
    observer.observe(document.querySelector('.top .counts'), { subtree: true, characterData: true, childList: true });
    const end = performance.now() + ${seconds * 1000};
    for (let last = performance.now(); last < end; ) {
      const now = await new Promise(requestAnimationFrame);
      gaps.push(now - last);
      last = now;
    }
    observer.disconnect();
    return { gaps, updates };
  })()`);
  const after = await page.evaluate<string>(`document.querySelector('.top .counts').innerText`);
  const sorted = gaps.toSorted((a, b) => a - b);
  const slowest = worstSecond(gaps);
  return `${Math.round(gaps.length / seconds)} frames per second, at least ${slowest} in any second, longest gap ${Math.round(sorted.at(-1) ?? 0)} ms, ${(updates / seconds).toFixed(1)} updates per second (${oneLine(before)} → ${oneLine(after)})`;
}

/** The fewest frames within any second. */
function worstSecond(gaps: readonly number[]): number {
  let fewest = Infinity;
  for (let from = 0; from < gaps.length; from += 1) {
    let [length, count] = [0, 0];
    for (let at = from; at < gaps.length && length < 1000; at += 1) {
      length += gaps[at] as number;
      count += 1;
    }
    if (length >= 1000) fewest = Math.min(fewest, count);
  }
  return fewest;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function kilobytes(length: number): string {
  return `${(length / 1000).toFixed(1)} kB`;
}

function report(what: string, text: string): void {
  console.log(`${what.padEnd(28)}${text}`);
}
