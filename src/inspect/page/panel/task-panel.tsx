/**
 * Everything about one node of the graph.
 *
 * Owns: the words for its plan and its executions. Does not own: members (members.tsx), waits (waits.tsx), values (value.tsx).
 */
import type { GraphNode } from '../../../core/graph.ts';
import type { RunPicture } from '../../fold.ts';
import type { TaskState, Wait } from '../../messages.ts';
import { isGroup } from '../layout/graph-layout.ts';
import { count, duration, grouped, moment, runningFor } from '../model/format.ts';
import { elapsed, isActive } from '../model/states.ts';
import { Badge, Facts, Name, Quiet, Section } from '../views/parts.tsx';
import { Members } from './members.tsx';
import { ErrorText, FetchedValue, Value, type Ask } from './value.tsx';
import { Waits } from './waits.tsx';

interface Props {
  readonly node: GraphNode;
  readonly picture: RunPicture;
  readonly group: number | undefined;
  readonly member: number | undefined;
  readonly now: number;
  readonly ask: Ask | undefined;
  readonly signals: boolean;
  readonly onGroup: (group: number) => void;
  readonly onMember: (member: number | undefined) => void;
  readonly onNode: (node: string, group?: number) => void;
  readonly onClose: () => void;
}

export function TaskPanel({ node, picture, group, member, now, ask, signals, onGroup, onMember, onNode, onClose }: Props) {
  const state = picture.tasks.get(node.id);
  const values = picture.values.get(node.id);
  const waits = picture.status?.waitsFor.first.filter((wait) => wait.node === node.id && wait.kind !== 'task' && wait.kind !== 'members') ?? [];
  const of = { node: node.id };
  return (
    <div class="panel-body" key={node.id}>
      <header class="panel-head">
        <div class="panel-title"><h2><Name text={node.id} /></h2><button type="button" class="link" onClick={onClose} aria-label="Close, show the run">Close</button></div>
        <div class="panel-sub"><Badge tone={state?.state ?? 'pending'} word={state?.state ?? 'pending'} /><span class="kind">{kindText(node)}</span></div>
      </header>
      <Facts rows={[...stateRows(state, now), ...planRows(node)]} />
      {state?.progress !== undefined && isActive(state) && <Progress progress={state.progress} />}
      {waits.length > 0 && <Section title="Why it is waiting"><Waits waits={{ first: waits as readonly Wait[], total: waits.length }} now={now} ask={signals ? ask : undefined} onNode={onNode} /></Section>}
      {isGroup(node) && node.kind !== 'scope' && <Groups node={node} picture={picture} group={group} member={member} now={now} ask={ask} onGroup={onGroup} onMember={onMember} />}
      {values?.error !== undefined && <Section title={state?.state === 'failed' ? 'Error' : 'Error of an earlier attempt'}><ErrorText error={values.error} /></Section>}
      <Value title="Input" value={values?.input} ask={ask} which="input" of={of} />
      <Value title="Output" value={values?.output} ask={ask} which="output" of={of} />
      {state?.state === 'done' && values?.output === undefined && !isGroup(node) && <FetchedValue title="Output" ask={ask} which="output" of={of} version={`${state.done} ${state.endedAt}`} />}
      {values === undefined && state !== undefined && state.state !== 'pending' && state.state !== 'skipped' && !isGroup(node) && <Quiet>No values were seen of it.</Quiet>}
    </div>
  );
}

type Row = readonly [string, preact.ComponentChildren] | false;

function stateRows(state: TaskState | undefined, now: number): Row[] {
  if (state === undefined) return [];
  const time = elapsed(state, now);
  return [
    time !== undefined && [isActive(state) ? 'For' : 'Took', isActive(state) ? runningFor(time) : duration(time)],
    state.startedAt !== undefined && ['Started', moment(state.startedAt, now)],
    state.attempt > 1 && ['Attempt', grouped(state.attempt)],
    state.iteration > 0 && ['Iteration', grouped(state.iteration)],
    (state.done > 1 || state.failed > 0 || state.running > 1) && ['Executions', executions(state)],
  ];
}

function executions({ done, failed, running, waiting, retrying }: TaskState): string {
  const parts = [[done, 'done'], [failed, 'failed'], [running, 'running'], [waiting, 'waiting'], [retrying, 'retrying']] as const;
  return parts.filter(([value]) => value > 0).map(([value, word]) => `${grouped(value)} ${word}`).join(', ');
}

function planRows(node: GraphNode): Row[] {
  switch (node.kind) {
    case 'task':
      return [
        node.retry !== undefined && ['Retries', `${count(node.retry.attempts, 'attempt')}, ${node.retry.backoff}, from ${duration(node.retry.delayMs)}`],
        node.timeoutMs !== undefined && ['Timeout', duration(node.timeoutMs)],
        node.maxIterations !== undefined && ['Iterations', `at most ${grouped(node.maxIterations)}`],
      ];
    case 'parallel':
    case 'each':
    case 'dag':
      return [
        ['Backend', node.execution.backend === 'direct' ? 'direct, one at a time' : `${node.execution.backend}, ${grouped(node.execution.concurrency)} at a time`],
        node.kind !== 'dag' && ['Policy', policyText(node.policy)],
        node.kind === 'each' && node.batch !== undefined && ['Batch', count(node.batch, 'item')],
      ];
    case 'wait':
      return [['Signal', <Name text={node.signal} class="mono" />], node.timeoutMs !== undefined && ['Timeout', duration(node.timeoutMs)]];
    case 'sleep':
      return [['Sleeps', duration(node.delayMs)]];
    case 'scope':
      return [node.workflow !== undefined && ['Workflow', <Name text={node.workflow} />]];
  }
}

function policyText(policy: Extract<GraphNode, { kind: 'parallel' | 'each' }>['policy']): string {
  const fast = 'failFast' in policy && policy.failFast ? ', fail fast' : '';
  switch (policy.kind) {
    case 'strict':
      return `strict: all must succeed${fast}`;
    case 'bestEffort':
      return 'best effort';
    case 'critical':
      return `critical: ${policy.ids.join(', ')}${fast}`;
    case 'atLeast':
      return `at least ${grouped(policy.count)}${fast}`;
    case 'custom':
      return 'own policy';
  }
}

export function kindText(node: GraphNode): string {
  switch (node.kind) {
    case 'task':
      return 'task';
    case 'parallel':
      return `parallel, ${count(node.members.length, 'member')}`;
    case 'each':
      return 'fan-out';
    case 'dag':
      return `dag, ${count(node.members.length, 'node')}`;
    case 'scope':
      return node.workflow === undefined ? 'sequence' : 'workflow';
    case 'wait':
      return 'wait for a signal';
    case 'sleep':
      return 'sleep';
  }
}

function Progress({ progress }: { progress: NonNullable<TaskState['progress']> }) {
  const { done, total, note } = progress;
  return (
    <Section title="Progress" aside={total === undefined ? grouped(done) : `${grouped(done)} of ${grouped(total)}`}>
      {total !== undefined && total > 0 && <span class="bar"><i class="t-running" style={{ width: `${Math.min(100, Math.max(0, (done / total) * 100))}%` }} /></span>}
      {note !== undefined && <Quiet>{note}</Quiet>}
    </Section>
  );
}

function Groups({ node, picture, group, member, now, ask, onGroup, onMember }: Pick<Props, 'node' | 'picture' | 'group' | 'member' | 'now' | 'ask' | 'onGroup' | 'onMember'>) {
  const groups = [...picture.groups.values()].filter(({ last }) => last.node === node.id);
  const shown = groups.find(({ last }) => last.group === group) ?? groups.at(-1);
  if (shown === undefined) return <Quiet>It has not begun.</Quiet>;
  return (
    <>
      {groups.length > 1 && (
        <label class="pick">
          <span>Begun {grouped(groups.length)} times</span>
          <select class="field" value={shown.last.group} onChange={(event) => onGroup(Number(event.currentTarget.value))}>
            {groups.map(({ last }, index) => <option key={last.group} value={last.group}>{`${index + 1}: ${moment(last.startedAt, now)}, ${grouped(last.size)} members${last.open ? '' : ', ended'}`}</option>)}
          </select>
        </label>
      )}
      <Members key={shown.last.group} node={node} group={shown} picked={member} onPick={onMember} now={now} ask={ask} />
    </>
  );
}
