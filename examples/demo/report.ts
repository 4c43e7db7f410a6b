/**
 * Renders the findings as Markdown and JSON, and numbers for people.
 *
 * Owns: the text. Does not own: what was found (findings.ts), where it is written (workflow.ts).
 *
 * Invariants
 * 1. Pure: the same findings give the same text, byte for byte, so two reports can be compared.
 * 2. Text from other people's manifests never leaves its table cell or its line.
 */
import type { Duplicates, Inventory, Licences, Package, Sizes } from './findings.ts';
import { label } from './findings.ts';

export interface Findings {
  readonly inventory: Inventory;
  /** Folders that could not be read after all attempts. */
  readonly unreadable: string[];
  /** Links that were seen and not followed. */
  readonly links: string[];
  /** Absent when the check itself failed; the rest of the report still stands. */
  readonly licences?: Licences;
  readonly duplicates: Duplicates;
  readonly sizes: Sizes;
}

export function toJsonReport({ inventory, ...findings }: Findings): string {
  return `${JSON.stringify({ ...findings, allowed: inventory.allowed, packages: inventory.packages }, null, 2)}\n`;
}

export function toMarkdownReport(findings: Findings): string {
  const { sizes, unreadable, links } = findings;
  return [
    '# Installed packages',
    `${count(sizes.packages, 'package')}, ${count(sizes.files, 'file')}, ${size(sizes.bytes)}.`,
    ...problems(findings.inventory.packages, unreadable, links),
    '## Licences',
    ...licenceSection(findings.licences),
    '## Duplicates',
    ...duplicateSection(findings.duplicates),
    '## Largest',
    table(['package', 'size', 'files', 'where'], sizes.largest.map((one) => [one.package, size(one.bytes), grouped(one.files), one.path])),
    '## All packages',
    table(['package', 'licence', 'size', 'sha-256', 'where'], findings.inventory.packages.map(packageRow)),
  ].join('\n\n') + '\n';
}

function problems(packages: readonly Package[], unreadable: readonly string[], links: readonly string[]): string[] {
  const broken = packages.filter((one) => one.problem !== null).map((one) => [one.path, one.problem ?? '']);
  const rows = [...broken, ...unreadable.map((path) => [path, 'could not be read; not counted']), ...links.map((path) => [path, 'a link; not followed'])];
  return rows.length === 0 ? [] : ['## Worth a look', table(['where', 'what'], rows)];
}

function licenceSection(licences: Licences | undefined): string[] {
  if (licences === undefined) return ['This check failed, see the log of the run.'];
  const { counts } = licences;
  const lines = [`${counts.allowed} allowed, ${counts.refused} not on the list, ${counts.unknown} unclear, ${counts.missing} without any.`];
  if (licences.open.length > 0) {
    const words = { allowed: 'allowed', refused: 'not on the list', unknown: 'unclear', missing: 'none stated' };
    lines.push(table(['package', 'licence', 'verdict', 'where'], licences.open.map((one) => [one.package, one.licence ?? '', words[one.verdict], one.path])));
  }
  return [...lines, table(['licence', 'packages'], licences.stated.map((one) => [one.licence, String(one.packages)]))];
}

function duplicateSection({ several, differing, extraBytes }: Duplicates): string[] {
  if (several.length === 0) return ['Every package has one version only.'];
  const rows = several.map((one) => [one.name, one.versions.map((v) => `${v.version} (${v.paths.join(', ')})`).join('; '), size(one.extraBytes)]);
  const lines = [`${count(several.length, 'name')} in several versions; one version of each would save ${size(extraBytes)}.`, table(['name', 'versions', 'extra'], rows)];
  if (differing.length > 0) lines.push(`Same version, other content: ${differing.map(cell).join(', ')}.`);
  return lines;
}

function packageRow(one: Package): string[] {
  return [label(one), one.licence ?? 'none stated', size(one.bytes), `\`${one.sha256.slice(0, 16)}\``, one.path];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Names come from other people's manifests: they may not break out of their cell. */
function cell(text: string): string {
  return plain(text).replace(/[\\|<]/g, '\\$&');
}

/** One line without control characters: nobody's manifest may move the cursor of a terminal. */
export function plain(text: string): string {
  return text.replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ');
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}

export function count(number: number, noun: string): string {
  return `${grouped(number)} ${noun}${number === 1 ? '' : 's'}`;
}
