/**
 * Makes the page: one HTML file with its script and its styles inside, and nothing that it would load.
 *
 *   tsx src/inspect/page/build.ts dist     writes dist/inspect-page.html
 *
 * Owns: the frame of the file. Does not own: the policy under which it runs (../relay/page-file.ts), though it forbids what would make
 * markup of texts by itself.
 *
 * The libraries inside are preact (MIT, Jason Miller) and @dagrejs/dagre with @dagrejs/graphlib (MIT, Chris Pettitt); their
 * notices are kept in the file.
 */
import { build, type BuildOptions } from 'esbuild';
import { fileURLToPath } from 'node:url';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The text of the page. */
export async function buildPage(): Promise<string> {
  const common = { bundle: true, write: false, minify: true, platform: 'browser', target: ['es2023', 'chrome120', 'firefox121', 'safari17'], logLevel: 'warning' } satisfies BuildOptions;
  const [script, style] = await Promise.all([
    build({ ...common, entryPoints: [here('main.tsx')], format: 'iife', jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' }),
    build({ ...common, entryPoints: [here('styles.css')] }),
  ]);
  return page(textOf(script), textOf(style));
}

function textOf({ outputFiles }: { outputFiles?: { readonly text: string }[] }): string {
  const [file] = outputFiles ?? [];
  if (file === undefined) throw new Error('esbuild made no file');
  return file.text.trim();
}

function page(script: string, style: string): string {
  // What would end the elements early must not occur in them.
  const inline = script.replaceAll('</script', String.raw`<\/script`).replaceAll('<!--', String.raw`<\!--`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="content-security-policy" content="require-trusted-types-for 'script'; trusted-types 'none'">
<title>taskchart</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<noscript>This page needs JavaScript.</noscript>
<!--
${notices}
-->
<script>${inline}</script>
</body>
</html>
`;
}

const notices = `preact: Copyright (c) 2015-present Jason Miller
@dagrejs/dagre, @dagrejs/graphlib: Copyright (c) 2012-2014 Chris Pettitt

Both under the MIT License:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge,
publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do
so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE
FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

/** The file is written by esbuild, as everything under dist is. */
async function write(folder: string): Promise<void> {
  const contents = await buildPage();
  await build({
    entryPoints: [{ in: 'page', out: 'inspect-page.html' }],
    outdir: folder,
    logLevel: 'warning',
    plugins: [{
      name: 'page',
      setup: ({ onResolve, onLoad }) => {
        onResolve({ filter: /^page$/ }, () => ({ path: 'page', namespace: 'page' }));
        onLoad({ filter: /.*/, namespace: 'page' }, () => ({ contents, loader: 'copy' }));
      },
    }],
    bundle: true,
  });
}

const [, program, folder] = process.argv;
if (program === fileURLToPath(import.meta.url)) await write(folder ?? 'dist');
