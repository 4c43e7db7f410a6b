/** The page: one HTML file beside the built code, and the policy under which it runs. */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { TextFileError, readTextFile } from '../../adapters/text-file.ts';

const FILE = 'inspect-page.html';

/** Beside the built code; from the sources, in the folder that the build writes. */
const places = [`./${FILE}`, `../../../dist/${FILE}`];

/** The text of the page; of one that says so where it was not built. */
export async function pageText(): Promise<string> {
  for (const place of places) {
    try {
      return await readTextFile(fileURLToPath(new URL(place, import.meta.url)));
    } catch (thrown) {
      if (!(thrown instanceof TextFileError)) throw thrown;
    }
  }
  return plainPage('taskchart', 'The page is not part of this installation. The stream is there: see taskchart top.');
}

/** What a person sees who is not let in. Plain text, escaped. */
export function plainPage(title: string, text: string): string {
  const safe = (part: string): string => part.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${safe(title)}</title><p>${safe(text)}</p></html>`;
}

/** Only what stands in the page itself may run or dress it, and it may talk to the relay alone. */
export function contentPolicy(page: string): string {
  const hashes = (tag: string): string => [...page.matchAll(new RegExp(`<${tag}(?:\\s[^>]*)?>([\\s\\S]*?)</${tag}>`, 'gi'))].map(([, body = '']) => `'sha256-${createHash('sha256').update(body).digest('base64')}'`).join(' ');
  const or = (list: string): string => (list === '' ? "'none'" : list);
  return [
    "default-src 'none'", `script-src ${or(hashes('script'))}`, `style-src ${or(hashes('style'))}`, "connect-src 'self'", 'img-src data:', "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
  ].join('; ');
}
