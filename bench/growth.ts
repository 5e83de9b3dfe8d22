/**
 * How the cost of a tunnel changes as rules, tunnels and workers grow. Idle tunnels stand beside the measured ones, on two
 * workers, because one process may not have descriptors for all. Run alone: `npm run build && sh scripts/bun bench/growth.ts`.
 */
import type { Peer } from './peers.ts';
import { load, type Place, startOrigin } from './proxyload.ts';
import { cpuOf, HOST, OTHER_HOST, policyText, settle, spent, startGateway } from './service.ts';
import { median } from './statistics.ts';

const MILLISECONDS = 1_000;
/** Milliseconds of load before anything is measured. */
const WARM = 5_000;
const ROUNDS = 5;
/** Milliseconds that idle tunnels are watched for. */
const WATCHED = 3_000;
const RULES = [0, 1_000, 1_000_000];
const TUNNELS = [0, 1_000, 10_000];

type Figures = Record<string, number>;

async function cost(peer: Peer, place: Place): Promise<number> {
  const [cpu, count] = await spent(peer.pid, () => load.tunnels(place, MILLISECONDS));
  return (cpu * 1e6) / count;
}

async function costOf(peer: Peer, place: Place): Promise<number> {
  const costs: number[] = [];
  for (let i = 0; i < ROUNDS; i++) costs.push(await cost(peer, place));
  return median(costs);
}

/**
 * By number of idle tunnels, taking turns: what a tunnel costs beside them, and what they cost by themselves. They lead to
 * another address: thousands to one leave the kernel few ports for the next, and it searches long.
 */
async function beside(
  peer: Peer,
  place: Place,
  idle: Place,
): Promise<Map<number, { costs: number[]; idle: number }>> {
  const found = new Map(TUNNELS.map((tunnels) => [tunnels, { costs: [] as number[], idle: 0 }]));
  for (let i = 0; i < ROUNDS; i++)
    for (const [tunnels, of] of found) {
      const standing = await load.stand(idle, tunnels);
      await settle(peer.pid);
      const before = cpuOf(peer.pid);
      await Bun.sleep(WATCHED);
      of.idle += ((cpuOf(peer.pid) - before) * 60_000) / WATCHED / ROUNDS;
      of.costs.push(await cost(peer, place));
      standing.leave();
      await settle(peer.pid);
    }
  return found;
}

export async function measure(): Promise<Figures> {
  const figures: Figures = {};
  const origin = await startOrigin();
  const withGateway = async (
    rules: number,
    workers: number,
    act: (peer: Peer, place: Place) => Promise<void>,
  ) => {
    const peer = await startGateway(policyText(origin.port, rules), workers);
    const place = { proxyPort: peer.port, target: `${HOST}:${origin.port}` };
    try {
      await settle(peer.pid); // reading the rules
      await load.tunnels(place, WARM * workers);
      await act(peer, place);
    } finally {
      await peer.stop();
    }
  };
  try {
    for (const rules of RULES)
      await withGateway(rules, 1, async (peer, place) => {
        figures[`CPU microseconds a tunnel, ${rules + 2} rules`] = await costOf(peer, place);
      });
    await withGateway(0, 2, async (peer, place) => {
      const two = await costOf(peer, place);
      figures['CPU microseconds a tunnel, two workers'] = two;
      figures['CPU of two workers, of one'] = two / figures['CPU microseconds a tunnel, 2 rules']!;
      const found = await beside(peer, place, { ...place, target: `${OTHER_HOST}:${origin.port}` });
      for (const [tunnels, { costs, idle }] of found) {
        figures[`CPU microseconds a tunnel, two workers, ${tunnels} idle ones beside it`] = median(costs);
        figures[`CPU seconds a minute of ${tunnels} idle tunnels`] = idle;
      }
      const [none, most] = [TUNNELS[0]!, TUNNELS.at(-1)!].map((tunnels) => median(found.get(tunnels)!.costs));
      figures[`CPU a tunnel beside ${TUNNELS.at(-1)} idle ones, of none`] = most! / none!;
    });
    return figures;
  } finally {
    origin.stop();
  }
}

if (import.meta.main) {
  console.log(await measure());
  process.exit(0);
}
