/** Columns of text. */
import { columnsOf, oneLine, pad } from './text.ts';

/** A line per row, columns two spaces apart; the first row is the head. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const safe = rows.map((row) => row.map(oneLine));
  const widths: number[] = [];
  for (const row of safe) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, columnsOf(cell))));
  return safe.map((row) => row.map((cell, at) => pad(cell, widths[at] ?? 0)).join('  ').trimEnd());
}
