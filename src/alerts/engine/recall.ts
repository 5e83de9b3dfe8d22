/**
 * Fills the windows of a new evaluation from the store, as they stood at the cursor: from totals, which are there
 * however many rows were evicted and are few however many there were, less the rows behind the cursor, which are in
 * the totals too and are yet to be evaluated.
 */
import type { Database } from 'bun:sqlite';
import { Fact, type Measure } from '../counting/fact.ts';
import { factOf, type History, measureOf, type Past } from '../counting/history.ts';
import type { NewDomains } from '../counting/newdomains.ts';
import type { Evaluation } from './evaluation.ts';
import { type Agents, lastSequence, type RowView, visitNotices, visitRows } from './rows.ts';

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Rows read at once. */
const BATCH = 5_000;
/** How far back, and how many rows at most, detectors are shown again. */
const WARM_TIME = 600_000;
const WARM_ROWS = 20_000;

export interface RecallOptions {
  db: Database;
  agents: Agents;
  history: History;
  evaluation: Evaluation;
  newDomains: NewDomains;
  cursor: number;
}

export function recall(options: RecallOptions): void {
  const { db, agents, evaluation, cursor } = options;
  const { at } = evaluation;
  // One snapshot, so that totals and rows agree.
  db.transaction(() => {
    const topics = ['gateway-started', 'gateway-stopped'];
    visitNotices(db, agents, topics, at - 8 * DAY, cursor, (row) =>
      evaluation.session(row.outcome ?? '', row.agent, row.session, row.time),
    );
    if (evaluation.rulebook.routes.new_blocked_domains !== undefined) recallDomains(options);
    takeAway(options);
    recallTotals(options);
    if (!evaluation.wantsEvents) return;
    visitRows(db, agents, cursor - WARM_ROWS, cursor, WARM_ROWS, (row) => {
      // Totals do not know what goes on, and windows begin with them: from here on it is counted as if it began now.
      if (row.time >= at - WARM_TIME && row.kind !== 'progress') evaluation.detect(row.event());
    });
  })();
}

function recallTotals({ history, evaluation, newDomains }: RecallOptions): void {
  const { at, longest } = evaluation;
  const add = (width: 'seconds' | 'minutes', span: number) => {
    const fact = new Fact();
    const counted = new Set<string>();
    return (past: Past) => {
      factOf(fact, past);
      const amount = (measure: Measure) => {
        const count = measureOf(past, measure);
        if (measure !== 'new_blocked_domains' || count <= 0) return count;
        const first = newDomains.firstSeen(fact.domain);
        if (first === null || first < past.start || first >= past.start + span || counted.has(fact.domain!))
          return 0;
        counted.add(fact.domain!);
        return 1;
      };
      evaluation.recall(fact, amount, width);
    };
  };
  const inSeconds = add('seconds', SECOND);
  const inMinutes = add('minutes', MINUTE);
  // Where the seconds are gone already, minutes stand for them.
  const first = Math.floor((history.firstTotal(SECOND) ?? at) / MINUTE) * MINUTE;
  const begin = at - Math.min(longest, HOUR);
  if (first > begin) history.totals(MINUTE, begin - MINUTE, first, add('seconds', MINUTE));
  history.totals(SECOND, Math.max(begin - SECOND, first), at + 1, inSeconds);
  if (longest > HOUR) history.totals(MINUTE, at - longest - MINUTE, at + 1, inMinutes);
}

/** Rows behind the cursor whose second, or minute, is among those that are recalled. */
function takeAway({ db, agents, evaluation, newDomains, cursor }: RecallOptions): void {
  const { at } = evaluation;
  const fact = new Fact();
  const last = lastSequence(db);
  let reached = cursor;
  const visit = (row: RowView) => {
    reached = row.sequence;
    const { kind, time, count } = row;
    if (kind === 'notice') return;
    fact.set(time, row.agent, row.host, row.reason, row.rule);
    const isRefused = kind === 'refusal' || (kind === 'decision' && row.outcome !== 'allow');
    if (isRefused) newDomains.unknow(fact.domain, time);
    const amount = (measure: Measure): number => -(amountOf(row, measure) * count);
    if (Math.floor(time / SECOND) * SECOND <= at) evaluation.recall(fact, amount, 'seconds');
    if (Math.floor(time / MINUTE) * MINUTE <= at) evaluation.recall(fact, amount, 'minutes');
  };
  while (reached < last && visitRows(db, agents, reached, last, BATCH, visit) === BATCH);
}

/** What one row adds to a measure, for each that it stands for; octets are of all together. */
function amountOf(row: RowView, measure: Measure): number {
  const isAllowed = row.outcome === 'allow';
  switch (measure) {
    case 'requests':
      return row.kind === 'decision' ? 1 : 0;
    case 'allowed_requests':
      return row.kind === 'decision' ? Number(isAllowed) : row.kind === 'refusal' ? -1 : 0;
    case 'blocked_requests':
      return row.kind === 'decision' ? Number(!isAllowed) : Number(row.kind === 'refusal');
    case 'failed_requests':
      return Number(row.kind === 'close' && row.outcome === 'failed');
    case 'dns_queries':
      return Number(row.kind === 'question');
    case 'bytes_up':
      return row.kind === 'close' ? row.bytesUp / row.count : 0;
    case 'bytes_down':
      return row.kind === 'close' ? row.bytesDown / row.count : 0;
    default:
      return 0;
  }
}

function recallDomains({ db, evaluation, newDomains }: RecallOptions): void {
  const fact = new Fact();
  const rows = db
    .query(
      'SELECT name, first_blocked FROM host WHERE first_blocked <= ? ORDER BY last_seen DESC LIMIT 100000',
    )
    .values(evaluation.at) as [string, number][];
  for (const [name, first] of rows) {
    const { domain } = fact.set(first, '', name, null, null);
    if (domain !== null) newDomains.know(domain, first);
  }
}
