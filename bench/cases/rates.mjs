/**
 * The common form of a case that counts tasks per second: entries in interleaved rounds, one table, ratios in pairs.
 *
 * A ratio is taken between the two measurements of one round and the median of those is shown, so that a slow spell of
 * the machine, which meets both, cancels out.
 */
import { NO_TARGET } from '../lib/report.mjs';
import { failureText, interleave } from '../lib/rounds.mjs';
import { count, fixed, median, megabytes, millis, percent, spread } from '../lib/stats.mjs';

/** `entries`: `{ key, label, contender, workload, params, units, limitMs?, rounds? }`; `units` is the work that was done. */
export async function measureRates({ entries, reference, unit, rounds, tell }) {
  const results = await interleave(entries, rounds, tell);
  const byKey = new Map(results.map((result) => [result.entry.key, result]));
  const base = byKey.get(reference);
  const rows = results.map((result) => row(result, base));
  const table = { columns: ['', 'size', `${unit}/s`, `of ${base.entry.short ?? base.entry.label}`, 'set-up', 'peak memory'], rows };
  return { table, results, ratio: (a, b) => ratio(byKey.get(a), byKey.get(b)), rate: (key) => rate(byKey.get(key)), raw: results.map(rawOf) };
}

function row(result, base) {
  const { entry, samples, failure } = result;
  if (samples.length === 0) return [entry.label, count(entry.units), failureText(failure), '', '', ''];
  const rates = samples.map((sample) => perSecond(entry, sample));
  return [
    entry.label,
    count(entry.units),
    spread(rates, count),
    result === base ? '100%' : percent(ratio(result, base)),
    samples[0].buildMs === undefined ? '' : millis(median(samples.map((sample) => sample.buildMs))),
    megabytes(median(samples.map((sample) => sample.memory.peakRss))),
  ];
}

const perSecond = (entry, sample) => (entry.units / sample.ms) * 1000;

function rate(result) {
  return result && result.samples.length > 0 ? median(result.samples.map((sample) => perSecond(result.entry, sample))) : NaN;
}

function ratio(a, b) {
  const pairs = Math.min(a?.samples.length ?? 0, b?.samples.length ?? 0);
  if (pairs === 0) return NaN;
  return median(
    Array.from({ length: pairs }, (_, i) => perSecond(a.entry, a.samples[i]) / perSecond(b.entry, b.samples[i])),
  );
}

export function rawOf({ entry, samples, failure }) {
  return { ...entry, samples, failure };
}

/** A goal on a figure that may be missing. */
export function goal(what, target, value, met, write = (x) => fixed(x, 2)) {
  return Number.isFinite(value) ? { what, target, measured: write(value), met: met(value) } : { what, target, measured: '–', met: undefined };
}

/** A ratio worth reading beside the goals that has no target of its own. */
export const note = (what, value, write) => goal(what, NO_TARGET, value, () => true, write);

export const times = (x) => `${fixed(x, x < 10 ? 2 : 0)} times`;
export const perSec = (unit) => (x) => `${count(x)} ${unit}/s`;
