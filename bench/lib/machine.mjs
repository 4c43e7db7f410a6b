/** On what it was measured. No host name, no path: results are meant to be read elsewhere. */
import os from 'node:os';
import { ownVersion, versionOf } from './places.mjs';

export const packages = ['xstate', 'p-queue', 'bullmq', 'bee-queue', '@langchain/langgraph', '@langchain/core', 'typescript'];

export function machine() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() || 'unknown',
    cores: os.availableParallelism(),
    memoryGb: Math.round(os.totalmem() / 1e9),
    system: `${os.type()} ${os.arch()}`,
    loadAtStart: Number(os.loadavg()[0].toFixed(2)),
    node: process.version,
    v8: process.versions.v8,
    taskchart: ownVersion(),
    packages: Object.fromEntries(packages.map((name) => [name, safeVersion(name)])),
  };
}

function safeVersion(name) {
  try {
    return versionOf(name);
  } catch {
    return 'not installed';
  }
}

export function machineLines(m) {
  const versions = Object.entries(m.packages).map(([name, version]) => `${name} ${version}`);
  return [
    `${m.cpu}, ${m.cores} cores, ${m.memoryGb} GB, ${m.system}; load average at the start ${m.loadAtStart}.`,
    `Node ${m.node} (V8 ${m.v8}), taskchart ${m.taskchart}, ${versions.join(', ')}.`,
  ];
}
