/**
 * Alerts: what a thousand rules cost at a hundred thousand rows a second beside none, how soon an alert fires after
 * its row's commit, and what memory a flood of names takes. Run alone: `sh scripts/bun bench/alerts.ts`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { NewDomains } from '../src/alerts/counting/newdomains.ts';
import { Presence } from '../src/alerts/counting/presence.ts';
import { createOutbox } from '../src/alerts/delivery/outbox.ts';
import { createEngine } from '../src/alerts/engine/engine.ts';
import { Evaluation } from '../src/alerts/engine/evaluation.ts';
import { Mutes } from '../src/alerts/engine/mutes.ts';
import { openAlertStore } from '../src/alerts/store.ts';
import { systemClock } from '../src/base/clock.ts';
import { type Row, rowOf } from '../src/events/row.ts';
import { createWriter } from '../src/events/writer.ts';
import type { AlertRule } from '../src/policy/alerts/alertrule.ts';
import { parseCondition } from '../src/policy/alerts/parse.ts';
import type { Policy } from '../src/policy/policy.ts';
import { median } from './statistics.ts';

const ROWS = 200_000;
const RULES = 1_000;
const RATE = 100_000;
const ROUNDS = 3;
const HOSTS = 1_000_000;
const BATCH = 1_024;

export async function measure(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-bench-'));
  try {
    const store = join(folder, 'egress.db');
    fill(store);
    const costs = { none: [] as number[], many: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      costs.none.push(cost(store, round, []));
      costs.many.push(
        cost(
          store,
          round,
          Array.from({ length: RULES }, (_, n) => rule(n)),
        ),
      );
    }
    const [none, many] = [median(costs.none), median(costs.many)];
    return {
      alerts_core_share_none: (none * RATE) / 1e6,
      alerts_core_share_1000: (many * RATE) / 1e6,
      alerts_core_share_more: ((many - none) * RATE) / 1e6,
      alerts_flood_memory_mb: floodMemory(),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A second's worth of busy agents, and again. */
function fill(store: string): void {
  const writer = createWriter(store);
  const began = Date.now() - (ROWS / RATE) * 1_000;
  for (let first = 0; first < ROWS; first += BATCH) {
    const rows = Array.from({ length: BATCH }, (_, n) =>
      row(first + n, began + ((first + n) / RATE) * 1_000),
    );
    const written = writer.write(rows);
    if (!written.ok) throw new Error(written.what);
  }
}

function row(n: number, time: number): Row {
  const common = { time, agent: `agent-${n % 20}`, session: 'bench', connection: n };
  const place = { host: `api${n % 700}.example${n % 90}.com`, port: 443 };
  if (n % 4 === 0) {
    const bytes = { bytesUp: 2_000, bytesDown: 30_000, duration: 50 };
    return rowOf({ kind: 'close', ...common, ...place, outcome: 'done', reason: null, ...bytes });
  }
  const isAllowed = n % 3 !== 0;
  return rowOf({
    ...{ kind: 'decision', ...common, ...place, protocol: 'tcp', wouldDeny: false },
    verdict: isAllowed ? 'allow' : 'deny',
    reason: isAllowed ? 'rule' : 'no-rule',
    rule: isAllowed ? 'egress.yaml:12' : null,
  });
}

/** Counts that are reached by none of these rows: an alert that fires is rare, a row that is counted is not. */
function rule(n: number): AlertRule {
  const texts = [
    `blocked_requests > ${1e9 + n} in ${1 + (n % 60)} minutes`,
    `blocked_requests > ${1e9 + n} in 5 minutes where agent = agent-${n % 50}`,
    `allowed_requests > ${1e9 + n} in 10 minutes per agent where host matches *.example${n}.com`,
    `domain matches *.bad${n}.tk, *.bad${n}.ml`,
    `bytes_up > ${1e12 + n} in ${1 + (n % 24)} hours per agent`,
    `blocked_requests > 1000000x baseline in 1 hour per agent where host = h${n}.example.net`,
    `failed_requests > ${1e9 + n} in 5 minutes per host`,
    `allowed_requests > ${1e9 + n} in 30 minutes per domain where reason = rule`,
  ];
  const text = texts[n % texts.length]!.replace('1000000x', '1000x');
  const parsed = parseCondition(text);
  if (!parsed.ok) throw new Error(parsed.problem.message);
  return {
    ...{
      name: `rule-${n}`,
      condition: parsed.condition,
      text,
      severity: 'low',
      notify: [],
      cooldown: 0,
      for: 0,
    },
    source: { kind: 'file', file: 'bench', line: n + 1, column: 1 },
  };
}

/** Microseconds of processor time a row, of all that the engine does. */
function cost(store: string, round: number, rules: readonly AlertRule[]): number {
  const path = join(dirname(store), `alerts-${round}-${rules.length}.db`);
  const db = openAlertStore(path);
  const engine = createEngine({
    ...{ store, path, db, clock: systemClock, source: 'bench', rules: () => rules },
    ...{ outbox: createOutbox(db, systemClock), context: { policy: () => ({}) as Policy } },
  });
  const began = process.cpuUsage();
  while (engine.step().isBehind);
  const { user, system } = process.cpuUsage(began);
  engine.close();
  db.close();
  return (user + system) / ROWS;
}

/** Mebibytes by which the process grows while a million hosts pass rules that tell hosts and domains apart. */
function floodMemory(): number {
  const texts = ['per host', 'per domain', 'per agent'].map(
    (per) => `blocked_requests > 100000 in 1 hour ${per}`,
  );
  const rules = [...texts, 'new_blocked_domains > 10000000 in 7 days'].map((text, n) => {
    const parsed = parseCondition(text);
    if (!parsed.ok) throw new Error(parsed.problem.message);
    return { ...rule(n), text, condition: parsed.condition };
  });
  const at = Date.now();
  const evaluation = new Evaluation({
    ...{ rules, at, presence: new Presence([]), mutes: new Mutes(), newDomains: new NewDomains() },
    ...{ history: { totals() {}, firstTotal: () => null }, detectors: new Map() },
  });
  const pass = (from: number, to: number) => {
    for (let n = from; n < to; n++) {
      evaluation.count(at + n / 100, `agent-${n % 3}`, `x.h${n}.example`, {
        ...{
          kind: 'decision',
          outcome: 'deny',
          reason: 'no-rule',
          rule: null,
          count: 1,
          bytesUp: 0,
          bytesDown: 0,
        },
      });
      if (n % 5_000 === 0) evaluation.changes(false);
    }
  };
  pass(0, HOSTS / 5);
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  pass(HOSTS / 5, HOSTS);
  Bun.gc(true);
  return Math.max(0, process.memoryUsage.rss() - before) / 2 ** 20;
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(), null, 2));
  process.exit(0);
}
