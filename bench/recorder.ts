/**
 * The recorder: rows a second by one process, until they are committed, and what a decision waits before anything may
 * leave, with one gateway and with four that share the store. Run alone: `sh scripts/bun bench/recorder.ts`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DecisionEvent } from '../src/events/event.ts';
import { openRecorder } from '../src/events/recorder.ts';
import { quantile } from './statistics.ts';

const ROWS = 300_000;
/** Rows that may wait to be committed while they are counted; past 20,000 a gateway refuses. */
const WAITING = 10_000;
const DECISIONS = 2_000;
/** Decisions before those that count, in which the runtime compiles. */
const WARM_UP = 200;
/** Milliseconds between the decisions of one gateway: 200 connections a second. */
const GAP = 5;

export async function measure(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-bench-'));
  const store = (name: string) => join(folder, name, 'egress.db');
  try {
    const rows = await rowsPerSecond(store('rows'));
    const [one] = await latencies(store('one'), 1);
    const four = await latencies(store('four'), 4);
    return {
      recorder_rows_per_second: Math.round(rows),
      recorder_p50_ms_one: one!.p50,
      recorder_p99_ms_one: one!.p99,
      recorder_p50_ms_four: Math.max(...four.map(({ p50 }) => p50)),
      recorder_p99_ms_four: Math.max(...four.map(({ p99 }) => p99)),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function rowsPerSecond(store: string): Promise<number> {
  const recorder = openRecorder({ store });
  const began = performance.now();
  for (let n = 0; n < ROWS; n++) {
    if (!(await recorder.decide(decision(n)))) throw new Error('a decision was not recorded');
    if (n % WAITING === WAITING - 1) await recorder.flush();
  }
  await recorder.flush();
  const seconds = (performance.now() - began) / 1_000;
  await recorder.close();
  return ROWS / seconds;
}

interface Latency {
  p50: number;
  p99: number;
}

async function latencies(store: string, gateways: number): Promise<Latency[]> {
  await openRecorder({ store }).close();
  const run = async () => {
    const child = Bun.spawn([process.execPath, import.meta.path, 'gateway', store], { stdout: 'pipe' });
    return JSON.parse(await new Response(child.stdout).text()) as Latency;
  };
  return Promise.all(Array.from({ length: gateways }, run));
}

/** What one gateway's decisions wait, in milliseconds. */
async function gateway(store: string): Promise<Latency> {
  const recorder = openRecorder({ store });
  return waits(async (n) => {
    // Only what is let through waits for its row.
    const event = { ...decision(Math.abs(n)), verdict: 'allow', reason: 'rule' } as const;
    if (!(await recorder.decide(event))) throw new Error('a decision was not recorded');
  });
}

async function waits(ask: (n: number) => Promise<unknown>): Promise<Latency> {
  const waits: number[] = [];
  for (let n = -WARM_UP; n < DECISIONS; n++) {
    await Bun.sleep(GAP * 2 * Math.random());
    const began = performance.now();
    await ask(n);
    if (n >= 0) waits.push(performance.now() - began);
  }
  const at = (share: number) => Number(quantile(waits, share).toFixed(3));
  return { p50: at(0.5), p99: at(0.99) };
}

function decision(n: number): DecisionEvent {
  const allowed = n % 5 !== 0;
  return {
    kind: 'decision',
    time: Date.now(),
    agent: `agent-${n % 3}`,
    session: `session-${process.pid}`,
    connection: n,
    protocol: 'tcp',
    host: `api${n % 50}.example.com`,
    port: 443,
    verdict: allowed ? 'allow' : 'deny',
    reason: allowed ? 'rule' : 'no-rule',
    rule: allowed ? 'egress.yaml:12' : null,
    wouldDeny: false,
  };
}

if (import.meta.main) {
  const [, , role, store] = process.argv;
  console.log(JSON.stringify(await (role === 'gateway' ? gateway(store!) : measure()), null, 2));
  process.exit(0);
}
