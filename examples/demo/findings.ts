/**
 * What the three checks of the demo find in the list of packages.
 *
 * Owns: the shapes of the findings, and the counting. Does not own: files (packages.ts), how findings look (report.ts).
 *
 * Invariants
 * 1. Pure: the same packages give the same findings, in the same order.
 * 2. Every package is counted once in each check.
 */
import type { Verdict } from './licences.ts';
import { judge } from './licences.ts';
import type { Contents, Manifest } from './packages.ts';

export interface Package extends Manifest, Contents {
  readonly path: string;
  /** Why the manifest could not be used; the name is then the folder's. */
  readonly problem: string | null;
}

export interface Inventory {
  readonly allowed: string[];
  readonly packages: Package[];
}

export interface Licences {
  readonly counts: Record<Verdict, number>;
  /** How often each licence text occurs, the most frequent first. */
  readonly stated: { licence: string; packages: number }[];
  /** Everything that somebody should look at. */
  readonly open: { package: string; path: string; verdict: Verdict; licence: string | null }[];
}

export interface Duplicate {
  readonly name: string;
  readonly versions: { version: string; paths: string[]; bytes: number }[];
  /** What would be saved if only the biggest copy stayed. */
  readonly extraBytes: number;
}

export interface Duplicates {
  /** One name, several versions. */
  readonly several: Duplicate[];
  /** One name and version whose copies differ in content: patched, or tampered with. */
  readonly differing: string[];
  readonly extraBytes: number;
}

export interface Sizes {
  readonly packages: number;
  readonly files: number;
  readonly bytes: number;
  readonly largest: { package: string; path: string; files: number; bytes: number }[];
}

export function checkLicences({ allowed, packages }: Inventory): Licences {
  const counts: Record<Verdict, number> = { allowed: 0, refused: 0, unknown: 0, missing: 0 };
  const stated = new Map<string, number>();
  const open: Licences['open'] = [];
  for (const one of packages) {
    const verdict = judge(one.licence, allowed);
    counts[verdict]++;
    stated.set(one.licence ?? 'none stated', (stated.get(one.licence ?? 'none stated') ?? 0) + 1);
    if (verdict !== 'allowed') open.push({ package: label(one), path: one.path, verdict, licence: one.licence });
  }
  const rows = [...stated].map(([licence, number]) => ({ licence, packages: number }));
  return { counts, stated: rows.sort((a, b) => b.packages - a.packages || (a.licence < b.licence ? -1 : 1)), open };
}

export function findDuplicates({ packages }: Inventory): Duplicates {
  const several: Duplicate[] = [];
  const differing: string[] = [];
  for (const [name, copies] of groupBy(packages, (one) => one.name)) {
    const versions = [...groupBy(copies, (one) => one.version ?? 'none')];
    for (const [version, same] of versions) {
      if (new Set(same.map((one) => one.sha256)).size > 1) differing.push(`${name} ${version}`);
    }
    if (versions.length < 2) continue;
    const bytes = copies.map((one) => one.bytes);
    several.push({
      name,
      versions: versions.map(([version, same]) => ({ version, paths: same.map((one) => one.path), bytes: total(same.map((one) => one.bytes)) })),
      extraBytes: total(bytes) - Math.max(...bytes),
    });
  }
  several.sort((a, b) => b.extraBytes - a.extraBytes || (a.name < b.name ? -1 : 1));
  return { several, differing: differing.sort(), extraBytes: total(several.map((one) => one.extraBytes)) };
}

export function sumSizes({ packages }: Inventory, top = 10): Sizes {
  const largest = [...packages].sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1)).slice(0, top);
  return {
    packages: packages.length,
    files: total(packages.map((one) => one.files)),
    bytes: total(packages.map((one) => one.bytes)),
    largest: largest.map((one) => ({ package: label(one), path: one.path, files: one.files, bytes: one.bytes })),
  };
}

export function label(one: { name: string; version: string | null }): string {
  return `${one.name} ${one.version ?? '(no version)'}`;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
