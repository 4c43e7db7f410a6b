import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// XState checks more under the `development` condition, so the tests run with it: in Vite's resolver and in Node's own.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^taskchart$/, replacement: here('src/index.ts') },
      { find: /^taskchart\/machines$/, replacement: here('machines/index.ts') },
      { find: /^taskchart\/redis$/, replacement: here('src/redis.ts') },
      { find: /^taskchart\/inspect$/, replacement: here('src/inspect.ts') },
      { find: /^taskchart\/stores$/, replacement: here('src/stores.ts') },
      { find: /^taskchart\/testing$/, replacement: here('src/testing.ts') },
    ],
  },
  ssr: { resolve: { externalConditions: ['node', 'development'] } },
  test: {
    include: ['test/**/*.test.ts'],
    execArgv: ['--conditions=development'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    expect: { requireAssertions: true },
    reporters: ['default'],
  },
});
