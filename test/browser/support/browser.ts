/**
 * A real Chromium for tests, without a window and without a package: the DevTools protocol over two pipes.
 *
 * Owns: the process, its temporary profile, its end. Does not own: where it comes from (find.ts), pages (page.ts).
 *
 * Invariants
 * 1. It never outlives this process: it ends when its pipes close, however that comes.
 * 2. It looks up no name but localhost and uses no proxy, so a page that asks for something elsewhere is seen to fail.
 * 3. Each page has a browser context of its own (cookies, storage) unless another page is named to share its.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { findChromium, type Chromium } from './find.ts';
import { Page, type PageOptions } from './page.ts';
import { Pipe } from './pipe.ts';

/** For `beforeAll`: the browser may have to be fetched first. */
export const launchTimeoutMs = 300_000;

const flags = [
  '--headless=new', '--remote-debugging-pipe', '--no-first-run', '--no-default-browser-check', '--lang=en-US', '--mute-audio', '--hide-scrollbars', '--force-color-profile=srgb',
  '--disable-gpu', '--disable-dev-shm-usage', '--disable-extensions', '--disable-breakpad', '--password-store=basic', '--use-mock-keychain',
  // What is out of sight must not be slower than what a test looks at.
  '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding',
  // Invariant 2, and nothing that it would ask its maker for.
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic', '--disable-default-apps', '--disable-domain-reliability', '--no-pings', '--no-proxy-server',
  '--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,AutofillServerCommunication,CertificateTransparencyComponentUpdater',
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1',
];

export interface OpenOptions extends PageOptions {
  /** Shares this page's cookies and storage. */
  readonly beside?: Page;
}

export async function launch(): Promise<Browser> {
  const chromium = await findChromium();
  // Root has no sandbox to be put into; who else has one depends on the kernel's settings, which only a try can tell.
  if (process.getuid?.() === 0) return start(chromium, ['--no-sandbox']);
  return start(chromium, []).catch((thrown: unknown) => {
    if (!/sandbox/i.test(String(thrown))) throw thrown;
    return start(chromium, ['--no-sandbox']);
  });
}

async function start(chromium: Chromium, more: readonly string[]): Promise<Browser> {
  const browser = new Browser(chromium, more);
  try {
    await browser.pipe.send('Browser.getVersion');
    return browser;
  } catch (cause) {
    await browser.close();
    throw new Error(`${chromium.path} did not start: ${browser.lastWords}`, { cause });
  }
}

export class Browser {
  readonly pipe: Pipe;
  readonly #child: ChildProcess;
  readonly #profile = mkdtempSync(join(tmpdir(), 'taskchart-chromium-'));
  readonly #ended: Promise<void>;
  readonly #kill = (): void => {
    this.#child.kill('SIGKILL');
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  };
  #stderr = '';

  constructor({ path, env }: Chromium, more: readonly string[]) {
    this.#child = spawn(path, [...flags, ...more, `--user-data-dir=${this.#profile}`, 'about:blank'], { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
    const [, , stderr, commands, answers] = this.#child.stdio as unknown as readonly [null, null, Readable, Writable, Readable];
    stderr.setEncoding('utf8').on('data', (text: string) => { this.#stderr = (this.#stderr + text).slice(-4000); });
    this.pipe = new Pipe(answers, commands);
    this.#ended = new Promise((resolve) => {
      const ended = (why: string): void => {
        this.pipe.end(`the browser has ended (${why}): ${this.lastWords}`);
        resolve();
      };
      this.#child.on('error', (error) => ended(error.message));
      this.#child.on('close', (code, signal) => ended(String(signal ?? code)));
    });
    process.once('exit', this.#kill);
  }

  /** What it printed last, which is where it says why it does not start. */
  get lastWords(): string {
    return this.#stderr.trim().split('\n').slice(-5).join('\n');
  }

  async open(url = 'about:blank', { beside, ...options }: OpenOptions = {}): Promise<Page> {
    const context = beside?.context ?? ((await this.pipe.send('Target.createBrowserContext', { disposeOnDetach: true })) as { browserContextId: string }).browserContextId;
    const { targetId } = (await this.pipe.send('Target.createTarget', { url: 'about:blank', browserContextId: context })) as { targetId: string };
    const { sessionId } = (await this.pipe.send('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string };
    const page = new Page(this.pipe, { targetId, sessionId, context });
    await page.prepare(options);
    if (url !== 'about:blank') await page.goto(url);
    return page;
  }

  /** Ends the browser and removes its profile; resolves when its process is gone. */
  async close(): Promise<void> {
    process.off('exit', this.#kill);
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.pipe.send('Browser.close').catch(() => this.#child.kill('SIGKILL'));
    await this.#ended;
    clearTimeout(late);
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
