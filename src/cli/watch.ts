/** Which way a run is shown while it goes on. */
import type { Graph } from '../core/graph.ts';
import type { WaitingFor } from '../runtime/status.ts';
import { EventLines } from './event-lines.ts';
import { PlainReport } from './plain.ts';
import { LiveTree } from './tree.ts';
import { TreeModel } from './tree-model.ts';
import type { Output, View } from './view.ts';

export interface Watched {
  readonly workflow: string;
  readonly graph: Graph;
  readonly json: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function viewFor(out: Output, watched: Watched, waitsFor: () => readonly WaitingFor[]): View {
  if (watched.json) return new EventLines(out);
  const model = new TreeModel(watched.workflow, watched.graph);
  const { TERM, NO_COLOR } = watched.environment;
  if (out.isTTY !== true || TERM === 'dumb') return new PlainReport(model, out, waitsFor);
  return new LiveTree(model, out, { waitsFor, colours: NO_COLOR === undefined || NO_COLOR === '' });
}
