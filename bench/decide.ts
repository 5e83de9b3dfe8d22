/**
 * `decide` from `compile()`, as the number of rules grows. Run alone: `sh scripts/bun bench/decide.ts`.
 * Every size runs in a process of its own, so that memory is that policy's and nobody else's.
 */
import { parseHost } from '../src/names/host.ts';
import { compile } from '../src/policy/compile.ts';
import { decide } from '../src/policy/decide.ts';
import type { Rule, Target } from '../src/policy/decision.ts';
import type { PolicyDocument } from '../src/policy/document.ts';
import { type Policy, ruleCount } from '../src/policy/policy.ts';
import { builtInDocument } from '../src/policy/presets/presets.ts';
import { median, quantile } from './statistics.ts';

const SIZES = [10, 1_000, 100_000, 1_000_000];
const CALLS = 100_000;
const ROUNDS = 5;
const AGENTS = Array.from({ length: 100 }, (_, i) => `agent-${i}`);

/** Nanoseconds (p50, p99, hits and misses apart) and bytes a rule, by number of rules. */
export async function measure(): Promise<Record<string, number>> {
  const results: Record<string, number> = {};
  for (const size of SIZES) {
    const child = Bun.spawn(
      [process.execPath, '--no-env-file', '--config=/dev/null', import.meta.path, `${size}`],
      {
        stdout: 'pipe',
        stderr: 'inherit',
      },
    );
    Object.assign(results, JSON.parse(await new Response(child.stdout).text()));
  }
  return results;
}

function measureSize(size: number): Record<string, number> {
  // Loads every module and compiles every function before memory is read.
  compile([document(1_000)]);
  const before = memory();
  const policy = compile([document(size)]);
  const after = memory();
  const hits = time(policy, targets(size, true));
  const misses = time(policy, targets(size, false));
  const at = `at ${ruleCount(policy)} rules`;
  return {
    [`decide ns p50, hits, ${at}`]: hits.p50,
    [`decide ns p99, hits, ${at}`]: hits.p99,
    [`decide ns p50, misses, ${at}`]: misses.p50,
    [`decide ns p99, misses, ${at}`]: misses.p99,
    // Below that, what else the runtime does meanwhile weighs more than the policy.
    ...(size >= 100_000 && { [`policy bytes a rule, ${at}`]: Math.round((after - before) / size) }),
  };
}

/** Names as they come in lists: exact, wildcards, some with ports and agents. */
function* rules(size: number): Generator<Rule> {
  for (let i = 0; i < size; i++)
    yield {
      action: i % 5 === 0 ? 'deny' : 'allow',
      host: `${i % 3 === 0 ? '*.' : ''}${hostName(i)}`,
      ports: i % 5 === 0 ? [] : i % 7 === 0 ? [5432] : [80, 443],
      agents: i % 11 === 0 ? [AGENTS[i % 100]!] : [],
      addresses: [],
      tls: 'sni',
      upgrade: [],
      bytesUpPerDay: null,
      until: null,
      note: i % 13 === 0 ? `SEC-${i}` : null,
      force: false,
      source: { kind: 'file', file: '/etc/clawctl/egress.yaml', line: i + 3, column: 5 },
    };
}

function hostName(i: number): string {
  return `service-${(i * 2_654_435_761) % 4_294_967_296}.team${i % 977}.example.com`;
}

function document(size: number): PolicyDocument {
  return {
    ...builtInDocument('/etc/clawctl/egress.yaml'),
    presets: [],
    // The rules are made while they are read, so that they are not counted as part of the policy.
    rules: { [Symbol.iterator]: () => rules(size) } as unknown as readonly Rule[],
  };
}

function targets(size: number, hit: boolean): Target[] {
  return Array.from({ length: CALLS }, () => {
    const i = Math.floor(Math.random() * size);
    const name = `${i % 3 === 0 ? 'a.' : ''}${hostName(hit ? i : i + size)}`;
    return { agent: AGENTS[i % 100]!, host: parseHost(name)!, port: 443 };
  });
}

/** The median of several rounds, since other work on the machine shows in a single one. */
function time(policy: Policy, targets: readonly Target[]) {
  const at = { now: 1_800_000_000_000, killed: false, grants: [] };
  for (const target of targets) decide(policy, target, at);
  const rounds = Array.from({ length: ROUNDS }, () =>
    targets.map((target) => {
      const start = Bun.nanoseconds();
      decide(policy, target, at);
      return Bun.nanoseconds() - start;
    }),
  );
  const at99 = rounds.map((times) => quantile(times, 0.99));
  return { p50: median(rounds.map(median)), p99: median(at99) };
}

/** Octets held by live objects; in Bun this includes the buffers behind typed arrays. */
function memory(): number {
  for (let i = 0; i < 3; i++) Bun.gc(true);
  return process.memoryUsage().heapUsed;
}

if (import.meta.main) {
  const size = Number(process.argv[2]);
  if (size > 0) console.log(JSON.stringify(measureSize(size)));
  else for (const [name, value] of Object.entries(await measure())) console.log(`${name}: ${value}`);
}
