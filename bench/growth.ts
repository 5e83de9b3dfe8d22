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

/** What a tunnel costs with one worker and with two, taking turns. */
async function workers(one: Served, two: Served): Promise<Figures> {
  const costs = { one: [] as number[], two: [] as number[] };
  for (let i = 0; i < ROUNDS; i++) {
    costs.one.push(await cost(one.peer, one.place));
    costs.two.push(await cost(two.peer, two.place));
  }
  return {
    'CPU microseconds a tunnel, one worker': median(costs.one),
    'CPU microseconds a tunnel, two workers': median(costs.two),
    'CPU of two workers, of one': median(costs.two.map((each, i) => each / costs.one[i]!)),
  };
}

interface Served {
  peer: Peer;
  place: Place;
}

export async function measure(): Promise<Figures> {
  const figures: Figures = {};
  const origin = await startOrigin();
  const running = new Set<Peer>();
  /** A gateway that has read its rules and is warm. */
  const begin = async (rules: number, workers: number): Promise<Served> => {
    const peer = await startGateway(policyText(origin.port, rules), workers);
    running.add(peer);
    const place = { proxyPort: peer.port, target: `${HOST}:${origin.port}` };
    await settle(peer.pid); // reading the rules
    await load.tunnels(place, WARM * workers);
    return { peer, place };
  };
  const end = async ({ peer }: Served) => {
    running.delete(peer);
    await peer.stop();
  };
  try {
    for (const rules of RULES) {
      const served = await begin(rules, 1);
      figures[`CPU microseconds a tunnel, ${rules + 2} rules`] = await costOf(served.peer, served.place);
      await end(served);
    }
    const [one, two] = [await begin(0, 1), await begin(0, 2)];
    Object.assign(figures, await workers(one, two));
    await end(one);
    const found = await beside(two.peer, two.place, {
      ...two.place,
      target: `${OTHER_HOST}:${origin.port}`,
    });
    for (const [tunnels, { costs, idle }] of found) {
      figures[`CPU microseconds a tunnel, two workers, ${tunnels} idle ones beside it`] = median(costs);
      figures[`CPU seconds a minute of ${tunnels} idle tunnels`] = idle;
    }
    const [none, most] = [TUNNELS[0]!, TUNNELS.at(-1)!].map((tunnels) => median(found.get(tunnels)!.costs));
    figures[`CPU a tunnel beside ${TUNNELS.at(-1)} idle ones, of none`] = most! / none!;
    return figures;
  } finally {
    for (const peer of running) await peer.stop();
    origin.stop();
  }
}

if (import.meta.main) {
  console.log(await measure());
  process.exit(0);
}
