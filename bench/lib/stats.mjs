/** Small statistics and the way figures are written. */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Exponent k of y ~ x^k, by least squares over the logarithms. 1 is linear, 2 quadratic. */
export function exponent(points) {
  if (points.length < 2) return NaN;
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)]);
  const meanX = logs.reduce((sum, [x]) => sum + x, 0) / logs.length;
  const meanY = logs.reduce((sum, [, y]) => sum + y, 0) / logs.length;
  const top = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const bottom = logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return top / bottom;
}

export const count = (n) => Math.round(n).toLocaleString('en-US');
export const fixed = (n, digits) => (Number.isFinite(n) ? n.toFixed(digits) : '–');
export const percent = (share) => (Number.isFinite(share) ? `${(share * 100).toFixed(share < 0.1 ? 1 : 0)}%` : '–');
export const megabytes = (bytes) => (Number.isFinite(bytes) ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB` : '–');

export function millis(ms) {
  if (!Number.isFinite(ms)) return '–';
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

/** The median with the least and the greatest of the rounds. */
export function spread(values, write) {
  if (values.length === 1) return write(values[0]);
  return `${write(median(values))} (${write(Math.min(...values))} to ${write(Math.max(...values))})`;
}
