/** `taskchart graph`: the graph of a workflow, for people, for Mermaid, or as JSON. */
import { loadWorkflow } from './load.ts';
import { exitCodes } from './usage.ts';

export interface GraphFlags {
  readonly workflow?: string;
  readonly mermaid?: boolean;
  readonly json?: boolean;
}

export async function graph(file: string, flags: GraphFlags, write: (text: string) => Promise<void>): Promise<number> {
  const workflow = await loadWorkflow(file, flags.workflow);
  const text = flags.mermaid === true ? workflow.mermaid() : flags.json === true ? JSON.stringify(workflow.graph, null, 2) : workflow.describe();
  await write(text.endsWith('\n') ? text : `${text}\n`);
  return exitCodes.ok;
}
