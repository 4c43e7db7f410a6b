/**
 * One page, as a person uses it: real input events at real coordinates, and a record of what it said and asked for.
 *
 * Owns: navigation, waiting, input, screenshots, the logs. Does not own: the browser's process (browser.ts).
 *
 * Invariants
 * 1. An expression is JavaScript text: what a bundler or a test runner makes of a function would not run in the page.
 * 2. Waiting is for a condition, and a wait that fails says what it saw instead, and what the page has complained of.
 * 3. A click goes where the middle of the element is, once it is in view, holds still and nothing covers it.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ProtocolFailure, type Fields, type Pipe } from './pipe.ts';

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  /** Device pixels per pixel, for sharp pictures. */
  readonly scale?: number;
  readonly colorScheme?: 'light' | 'dark';
  readonly reducedMotion?: boolean;
}

/** A line of the console, an uncaught error, a violation of the content policy, or a dialog (which is dismissed). */
export interface ConsoleLine {
  readonly kind: string;
  readonly text: string;
}

export interface PageRequest {
  readonly url: string;
  readonly method: string;
  /** As the protocol names it: Document, Script, Fetch, EventSource, … */
  readonly type: string;
  /** Absent until it is answered. */
  status?: number;
  /** Why there was no answer. */
  failed?: string;
}

interface WaitOptions {
  /** Default: 10 s. */
  readonly timeoutMs?: number;
}

interface Ids {
  readonly targetId: string;
  readonly sessionId: string;
  readonly context: string;
}

interface Evaluated {
  readonly result: { readonly value?: unknown };
  readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string; readonly value?: unknown } };
}

export class Page {
  /** Oldest first, over all documents that it has shown. */
  readonly console: ConsoleLine[] = [];
  readonly requests: PageRequest[] = [];
  readonly context: string;
  readonly #pipe: Pipe;
  readonly #ids: Ids;

  constructor(pipe: Pipe, ids: Ids) {
    this.#pipe = pipe;
    this.#ids = ids;
    this.context = ids.context;
  }

  /** For what has no method here. */
  send<T extends Fields = Fields>(method: string, params: object = {}): Promise<T> {
    return this.#pipe.send<T>(method, params, this.#ids.sessionId);
  }

  on(method: string, listener: (params: Fields) => void): () => void {
    return this.#pipe.on(method, listener, this.#ids.sessionId);
  }

  async prepare(options: PageOptions): Promise<void> {
    this.#watchConsole();
    this.#watchRequests();
    this.on('Inspector.targetCrashed', () => this.#pipe.end('the page has crashed', this.#ids.sessionId));
    await Promise.all(['Page', 'Runtime', 'Network', 'Log', 'Inspector'].map((domain) => this.send(`${domain}.enable`)));
    await this.emulate(options);
  }

  async emulate({ width = 1280, height = 800, scale = 1, colorScheme = 'light', reducedMotion = true }: PageOptions): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: scale, mobile: false });
    await this.send('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: colorScheme }, { name: 'prefers-reduced-motion', value: reducedMotion ? 'reduce' : 'no-preference' }],
    });
  }

  /** Resolves when the document and all that it names are loaded. */
  async goto(url: string): Promise<void> {
    await this.#loaded(async () => {
      const { errorText } = await this.send<{ errorText?: string }>('Page.navigate', { url });
      if (errorText !== undefined) throw new Error(`${url} could not be opened: ${errorText}`);
    });
  }

  async reload(): Promise<void> {
    await this.#loaded(() => this.send('Page.reload'));
  }

  /** The value of an expression, or what its promise resolves with; JSON. */
  async evaluate<T = unknown>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true, userGesture: true })) as unknown as Evaluated;
    if (exceptionDetails === undefined) return result.value as T;
    const { text, exception } = exceptionDetails;
    throw new Error(`in the page, ${short(expression)}: ${exception?.description ?? `${text} ${String(exception?.value ?? '')}`}`);
  }

  /** Waits until the expression is true-like and gives its value; a navigation in between is no failure. */
  async until<T = unknown>(expression: string, { timeoutMs = 10_000 }: WaitOptions = {}): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    let seen = 'nothing yet';
    for (;;) {
      try {
        const value = await this.evaluate<T>(expression);
        if (value) return value;
        seen = JSON.stringify(value) ?? 'undefined';
      } catch (thrown) {
        if (thrown instanceof ProtocolFailure && /ended|crashed/.test(thrown.message)) throw thrown;
        seen = thrown instanceof Error ? thrown.message : String(thrown);
      }
      if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${short(expression)}, but it is ${short(seen)}${this.#complaints()}`);
      await pause(15);
    }
  }

  /** The text of the first element that the selector finds, as it is shown; waits for the element. */
  async text(selector: string): Promise<string> {
    await this.until(exists(selector));
    return this.evaluate<string>(shown(one(selector)));
  }

  /** The shown text of every element that the selector finds now. */
  texts(selector: string): Promise<string[]> {
    return this.evaluate<string[]>(`Array.from(document.querySelectorAll(${JSON.stringify(selector)}), (each) => ${shown('each')})`);
  }

  count(selector: string): Promise<number> {
    return this.evaluate<number>(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
  }

  async click(selector: string, options: WaitOptions & { readonly count?: number } = {}): Promise<void> {
    const { x, y } = await this.until<{ x: number; y: number }>(place(selector), options);
    await this.send('Input.dispatchMouseEvent', { type: 'mouseMoved', x, y });
    for (let clickCount = 1; clickCount <= (options.count ?? 1); clickCount += 1) {
      for (const type of ['mousePressed', 'mouseReleased']) await this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount });
    }
  }

  async hover(selector: string): Promise<void> {
    const { x, y } = await this.until<{ x: number; y: number }>(place(selector));
    await this.send('Input.dispatchMouseEvent', { type: 'mouseMoved', x, y });
  }

  /** Clicks the field, replaces what is in it. */
  async type(selector: string, text: string): Promise<void> {
    await this.click(selector);
    await this.evaluate(`${one(selector)}.select?.()`);
    await this.send('Input.insertText', { text });
  }

  /** A key by its name (`Enter`, `Escape`, `ArrowDown`, `a`), with `Shift+` or `Control+` before it. */
  async press(combination: string): Promise<void> {
    const parts = combination.split('+');
    const key = parts.pop() ?? '';
    const modifiers = parts.reduce((sum, part) => sum | (modifierBits[part] ?? 0), 0);
    const named = namedKeys[key];
    const text = named?.text ?? (key.length === 1 && modifiers === 0 ? key : undefined);
    const code = named?.code ?? (/^[a-z]$/i.test(key) ? key.toUpperCase().charCodeAt(0) : key.charCodeAt(0));
    const common = { key: key === 'Space' ? ' ' : key, code: named === undefined ? `Key${key.toUpperCase()}` : key, windowsVirtualKeyCode: code, modifiers };
    await this.send('Input.dispatchKeyEvent', { type: text === undefined ? 'rawKeyDown' : 'keyDown', ...common, ...(text === undefined ? {} : { text }) });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...common });
  }

  /** A PNG of what is in view, also written to `file` where one is named. */
  async screenshot(file?: string): Promise<Buffer> {
    const { data } = await this.send<{ data: string }>('Page.captureScreenshot', { format: 'png' });
    const png = Buffer.from(data, 'base64');
    if (file !== undefined) writeFileSync(file, png);
    return png;
  }

  /** Errors and warnings of the console, uncaught errors, violations, dialogs. */
  problems(): string[] {
    return this.console.filter(({ kind }) => /^(error|warning|assert|exception|dialog)$/.test(kind)).map(({ kind, text }) => `${kind}: ${text}`);
  }

  async close(): Promise<void> {
    await this.#pipe.send('Target.closeTarget', { targetId: this.#ids.targetId });
    this.#pipe.end('the page is closed', this.#ids.sessionId);
  }

  async #loaded(act: () => Promise<unknown>): Promise<void> {
    let stop = (): void => undefined;
    const loaded = new Promise<void>((resolve) => { stop = this.on('Page.loadEventFired', () => resolve()); });
    try {
      await act();
      const late = new AbortController();
      const slow = pause(30_000, 'late', { signal: late.signal }).catch(() => 'in time');
      if ((await Promise.race([loaded, slow])) === 'late') throw new Error(`the page was not loaded after 30 s${this.#complaints()}`);
      late.abort();
    } finally {
      stop();
    }
  }

  #watchConsole(): void {
    this.on('Runtime.consoleAPICalled', ({ type, args }) => {
      const text = (args as readonly { value?: unknown; description?: string }[]).map(({ value, description }) => (typeof value === 'string' ? value : description ?? JSON.stringify(value))).join(' ');
      this.console.push({ kind: String(type), text });
    });
    this.on('Runtime.exceptionThrown', ({ exceptionDetails }) => {
      const { text, exception } = exceptionDetails as NonNullable<Evaluated['exceptionDetails']>;
      this.console.push({ kind: 'exception', text: exception?.description ?? text });
    });
    this.on('Log.entryAdded', ({ entry }) => {
      const { level, text, url } = entry as { level: string; text: string; url?: string };
      this.console.push({ kind: level, text: url === undefined ? text : `${text} (${url})` });
    });
    this.on('Page.javascriptDialogOpening', ({ message, type }) => {
      this.console.push({ kind: 'dialog', text: `${String(type)}: ${String(message)}` });
      void this.send('Page.handleJavaScriptDialog', { accept: type === 'beforeunload' }).catch(() => undefined);
    });
  }

  #watchRequests(): void {
    const open = new Map<unknown, PageRequest>();
    this.on('Network.requestWillBeSent', ({ requestId, request, type }) => {
      const { url, method } = request as { url: string; method: string };
      const made: PageRequest = { url, method, type: String(type) };
      open.set(requestId, made);
      this.requests.push(made);
    });
    this.on('Network.responseReceived', ({ requestId, response }) => {
      const made = open.get(requestId);
      if (made !== undefined) made.status = (response as { status: number }).status;
    });
    this.on('Network.loadingFailed', ({ requestId, errorText }) => {
      const made = open.get(requestId);
      if (made !== undefined) made.failed = String(errorText);
      open.delete(requestId);
    });
    this.on('Network.loadingFinished', ({ requestId }) => open.delete(requestId));
  }

  #complaints(): string {
    const said = this.problems().slice(-5);
    return said.length === 0 ? '' : `\nthe page said:\n  ${said.join('\n  ')}`;
  }
}

const modifierBits: Readonly<Record<string, number>> = { Alt: 1, Control: 2, Meta: 4, Shift: 8 };

const namedKeys: Readonly<Record<string, { readonly code: number; readonly text?: string }>> = {
  Enter: { code: 13, text: '\r' }, Tab: { code: 9 }, Escape: { code: 27 }, Space: { code: 32, text: ' ' }, Backspace: { code: 8 }, Delete: { code: 46 },
  ArrowLeft: { code: 37 }, ArrowUp: { code: 38 }, ArrowRight: { code: 39 }, ArrowDown: { code: 40 }, Home: { code: 36 }, End: { code: 35 }, PageUp: { code: 33 }, PageDown: { code: 34 },
};

function one(selector: string): string {
  return `document.querySelector(${JSON.stringify(selector)})`;
}

function exists(selector: string): string {
  return `${one(selector)} !== null`;
}

/** Elements of pictures have no `innerText`. */
function shown(element: string): string {
  return `((element) => element.innerText ?? element.textContent)(${element})`;
}

/** Where to click, or why not yet. Two frames apart at the same place counts as still. */
function place(selector: string): string {
  return `(async () => {
    const element = ${one(selector)};
    if (element === null || element.disabled) return null;
    element.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: 'instant' });
    const middle = () => { const { left, top, width, height } = element.getBoundingClientRect(); return { x: left + width / 2, y: top + height / 2, size: width * height }; };
    const before = middle();
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const { x, y, size } = middle();
    if (size === 0 || x !== before.x || y !== before.y) return null;
    const hit = document.elementFromPoint(x, y);
    return hit !== null && (element.contains(hit) || hit.contains(element) && hit.tagName === 'LABEL') ? { x, y } : null;
  })()`;
}

function short(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
