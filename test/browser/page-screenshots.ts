/**
 * Makes the pictures of the inspector's page: docs/images/inspect-*.png.
 *
 *   npx tsx test/browser/page-screenshots.ts                      each in the colours that the documents show
 *   npx tsx test/browser/page-screenshots.ts /tmp/pictures dark   all in dark (or light), elsewhere
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { body, find, inState, postHostileRun, shows, Stage, step } from './page-support.ts';
import { diamond, failingGroup, fanOut, layers, refund, release } from './page-workflows.ts';
import { launch } from './support/browser.ts';
import type { Page } from './support/page.ts';

interface Scene {
  /** For looking at alone: made where a folder is named. */
  readonly aside?: true;
  /** Default: light. */
  readonly scheme?: 'light' | 'dark';
  /** What is in the address after the token. */
  readonly hash?: string;
  /** Begins what is to be seen, before the page opens. */
  readonly begin?: (stage: Stage) => void | Promise<void>;
  /** Waits until it is to be seen. */
  readonly show: (page: Page, stage: Stage) => Promise<void>;
}

const [, , given, only] = process.argv;
const folder = given ?? fileURLToPath(new URL('../../docs/images', import.meta.url));
const quiet = (run: { readonly result: Promise<unknown> }): void => void run.result.catch(() => undefined);

/** Several runs at once. */
function aDaysWork(stage: Stage): void {
  const { gates } = stage;
  quiet(failingGroup().start(undefined, { inspect: stage.inspector({ title: 'briefing.ts' }) }));
  quiet(refund().start({ id: 'order-17', amount: 40 }, { inspect: stage.inspector({ title: 'refund.ts' }) }));
  quiet(fanOut(gates).start(1000, { inspect: stage.inspector({ title: 'thumbnails.ts' }) }));
  quiet(release(gates).start('2.4.0', { runId: 'release-2.4.0', inspect: stage.inspector({ title: 'release.ts' }) }));
}

async function pickRun(page: Page, workflow: string): Promise<void> {
  await page.click(await find(page, '.runs .row', workflow));
  await page.until(shows('.top h1', workflow));
}

async function pickNode(page: Page, node: string): Promise<void> {
  await page.click(body(node));
  await page.until(shows('.panel h2', node));
}

const crashed = mkdtempSync(join(tmpdir(), 'taskchart-pictures-'));
const crashChild = (mode: string, stage: Stage) => spawn(process.execPath, ['--import', 'tsx', fileURLToPath(new URL('page-crash-child.ts', import.meta.url)), mode, stage.relay.url, crashed], { stdio: 'ignore' });

const scenes: Readonly<Record<string, Scene>> = {
  release: {
    begin: aDaysWork,
    async show(page, { gates }) {
      await pickRun(page, 'release');
      await page.until(inState('types', 'running'));
      gates.open('types');
      await page.until(inState('e2e', 'running'));
      await pickNode(page, 'unit');
    },
  },
  'fan-out': {
    scheme: 'dark',
    begin: aDaysWork,
    async show(page) {
      await pickRun(page, 'thumbnails');
      await page.until(shows(body('resizeAll'), '950/1,000'));
      await pickNode(page, 'resizeAll');
      await page.click(await find(page, '.chip', 'failed'));
      await page.click(await find(page, '.panel .virtual .row', '237'));
      await page.until(shows('.member', '"held": false'));
    },
  },
  diamond: {
    begin: (stage) => quiet(diamond(stage.gates).start('eu', { inspect: stage.inspector({ title: 'enrich.ts' }) })),
    async show(page, { gates }) {
      await page.until(inState('fetchUsers', 'running'));
      gates.open('fetchUsers', 'geo');
      await page.until(inState('geo', 'done'));
      await pickNode(page, 'geo');
    },
  },
  'failing-group': {
    begin: aDaysWork,
    async show(page) {
      await pickRun(page, 'briefing');
      await page.until(inState('stocks', 'failed'));
    },
  },
  wait: {
    begin: aDaysWork,
    async show(page) {
      await pickRun(page, 'refund');
      await page.until(inState('approve', 'waiting'));
      await page.type('.waits textarea', 'true');
    },
  },
  crash: {
    async show(page, stage) {
      const first = crashChild('start', stage);
      try {
        await page.until(inState('load', 'running'), { timeoutMs: 20_000 });
      } finally {
        first.kill('SIGKILL');
      }
      await page.until(shows('.top .badge', 'lost'));
    },
  },
  resumed: {
    async show(page, stage) {
      const next = crashChild('resume', stage);
      await page.until(inState('report', 'done'), { timeoutMs: 20_000 });
      await page.until(shows('.top .badge', 'completed'));
      next.kill();
    },
  },
  history: {
    begin: (stage) => quiet(diamond(stage.gates).start('eu', { inspect: stage.inspector({ title: 'enrich.ts' }) })),
    async show(page, { gates }) {
      for (const name of ['fetchUsers', 'geo', 'score']) {
        await page.until(inState(name, 'running'));
        gates.open(name);
        await page.until(inState(name, 'done'));
      }
      await page.until(shows('.top .badge', 'completed'));
      await page.press(',');
      await page.until('document.querySelector(".time.in-past") !== null');
      await step(page, ',', inState('score', 'running'));
    },
  },
  statechart: {
    scheme: 'dark',
    begin: aDaysWork,
    async show(page) {
      await pickRun(page, 'refund');
      await page.click('#tab-statechart');
      await page.click(await find(page, '.controls button', 'Pause'));
      await page.until(shows('.transitions', 'paused'));
    },
  },
  tasks: {
    aside: true,
    begin: aDaysWork,
    hash: '#tab=statechart',
    async show(page) {
      await pickRun(page, 'release');
      await page.click('#tab-statechart');
      await page.click(await find(page, '.actors .row', '(tasks)'));
      await page.until(shows('.canvas', 'running'));
    },
  },
  messages: {
    begin: aDaysWork,
    async show(page) {
      await pickRun(page, 'release');
      await page.click('#tab-messages');
      await page.click(await find(page, '.lane-body .row', 'SETTLED'));
    },
  },
  queue: {
    aside: true,
    begin: aDaysWork,
    async show(page) {
      await pickRun(page, 'thumbnails');
      await page.click('#tab-queue');
      await page.until(shows('.queue', 'resize'));
    },
  },
  log: {
    aside: true,
    begin: (stage) => quiet(release(stage.gates).start('2.4.0', { runId: 'release-2.4.0', inspect: stage.inspector({ title: 'release.ts' }) })),
    async show(page, { gates }) {
      gates.open('types', 'unit', 'e2e', 'audit');
      await page.type('.waits textarea', 'true');
      await page.press('Enter');
      await page.click('#tab-log');
      await page.click(await find(page, '.log .row', 'registry answered'));
    },
  },
  'large-graph': {
    aside: true,
    begin: (stage) => quiet(layers(25, 20, stage.gates).start(undefined, { inspect: stage.inspector() })),
    async show(page) {
      await page.until(inState('step-12-3', 'done'));
      await page.press('f');
    },
  },
  'late-viewer': {
    begin: async (stage) => {
      stage.gates.open('fetchUsers', 'geo', 'score');
      await diamond(stage.gates).start('eu', { inspect: stage.inspector({ title: 'enrich.ts' }) }).result;
    },
    show: async (page) => {
      await page.until(inState('store', 'done'));
      await pickNode(page, 'store');
    },
  },
  'two-viewers': {
    begin: (stage) => quiet(refund().start({ id: 'order-17', amount: 40 }, { inspect: stage.inspector({ title: 'refund.ts' }) })),
    async show(page, stage) {
      const other = await stage.look();
      await other.until(inState('approve', 'waiting'));
      await other.type('.waits textarea', 'true');
      await other.press('Enter');
      await page.until(inState('paid', 'waiting'));
    },
  },
  'wrong-token': {
    show: async (page, { relay }) => {
      const url = new URL(relay.url);
      url.searchParams.set('token', 'not-the-right-one-at-all');
      await page.goto(url.href);
    },
  },
  'hostile-name': { begin: (stage) => postHostileRun(stage.relay.url), show: async (page) => { await page.until('document.querySelectorAll(".node").length === 2'); } },
  empty: { show: async (page) => { await page.until(shows('.welcome', 'Nothing is connected yet')); } },
  keys: { aside: true, begin: aDaysWork, show: async (page) => { await pickRun(page, 'refund'); await page.press('?'); } },
};

mkdirSync(folder, { recursive: true });
const browser = await launch();
try {
  for (const [name, { aside, scheme = 'light', hash, begin, show }] of Object.entries(scenes)) {
    if (aside && given === undefined) continue;
    const stage = await Stage.open(browser);
    try {
      await begin?.(stage);
      const page = await stage.look(hash, { width: 1440, height: 900, colorScheme: only === 'dark' || only === 'light' ? only : scheme });
      await show(page, stage);
      await page.evaluate('new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))');
      await page.screenshot(join(folder, `inspect-${name}.png`));
      for (const problem of name === 'wrong-token' ? [] : page.problems()) console.log(`${name}: ${problem}`);
    } finally {
      await stage.close();
    }
  }
} finally {
  await browser.close();
  rmSync(crashed, { recursive: true, force: true });
}
// Runs that wait for ever.
process.exit();
