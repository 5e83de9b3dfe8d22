/**
 * The gateway beside Squid and tinyproxy, in one run and taking turns: what a tunnel, a refusal, a gigabyte, a request and
 * an idle tunnel cost in CPU time and memory of the whole process tree, and what the detour costs in time. Every proxy
 * writes down what it does. Run alone: `npm run build && sh scripts/bun bench/squid.ts`.
 */
import { install, type Peer, startSquid, startTinyproxy } from './peers.ts';
import { load, type Place, startOrigin } from './proxyload.ts';
import { HOST, memoryOf, policyText, spent, startGateway } from './service.ts';
import { median, quantile } from './statistics.ts';

const ROUNDS = 5;
const MILLISECONDS = 1_000;
/** Milliseconds of load before anything is measured. */
const WARM = 5_000;
const MEGABYTES = 512;
const STREAMS = 32;
const IDLE = 6_000;

type Figures = Record<string, number>;
type Samples = Map<string, number[]>;

function sample(samples: Samples, name: string, value: number): void {
  if (!Number.isFinite(value)) return; // less than a tick of the clock
  const all = samples.get(name) ?? [];
  all.push(value);
  samples.set(name, all);
}

/** Medians, with the least and the most beside them. */
function figuresOf(samples: Samples): Figures {
  const figures: Figures = {};
  for (const [name, values] of samples) {
    figures[name] = median(values);
    if (values.length < 2) continue;
    figures[`${name} (least)`] = Math.min(...values);
    figures[`${name} (most)`] = Math.max(...values);
  }
  return figures;
}

const ratio = (samples: Samples, name: string, ours: string, theirs: string): number => {
  const [a, b] = [samples.get(`${name}, ${ours}`)!, samples.get(`${name}, ${theirs}`)!];
  return median(a.map((value, i) => value / b[i]!));
};

async function round(samples: Samples, peer: Peer, place: Place): Promise<void> {
  const { name, pid } = peer;
  const [forTunnels, tunnels] = await spent(pid, () => load.tunnels(place, MILLISECONDS));
  sample(samples, `CPU microseconds a tunnel, ${name}`, (forTunnels * 1e6) / tunnels);
  const [forRefusals, refusals] = await spent(pid, () => load.refusals(place, MILLISECONDS));
  sample(samples, `refusals a CPU second, ${name}`, refusals / forRefusals);
  const [forRequests, requests] = await spent(pid, () => load.requests(place, MILLISECONDS));
  sample(samples, `requests a CPU second, ${name}`, requests / forRequests);
  const started = performance.now();
  const [forBytes] = await spent(pid, () => load.download(place, MEGABYTES));
  const took = (performance.now() - started) / 1_000;
  sample(samples, `CPU seconds a GB, ${name}`, (forBytes * 1_024) / MEGABYTES);
  sample(samples, `GB a second of one stream, ${name}`, MEGABYTES / 1_024 / took);
}

/** Time: one stream after the other, and many at once. */
async function times(samples: Samples, peers: readonly [Peer, Place][], originPort: number): Promise<void> {
  for (let i = 0; i < ROUNDS; i++) {
    const direct = await load.latencies({ proxyPort: originPort, target: '' }, 200, true);
    for (const share of [0.5, 0.99])
      sample(samples, `milliseconds p${share * 100}, direct`, quantile(direct, share));
    for (const [peer, place] of peers) {
      const took = await load.latencies(place, 200, false);
      for (const share of [0.5, 0.99])
        sample(samples, `milliseconds p${share * 100}, ${peer.name}`, quantile(took, share));
      const started = performance.now();
      const each = MEGABYTES / STREAMS;
      await Promise.all(Array.from({ length: STREAMS }, () => load.download(place, each)));
      const seconds = (performance.now() - started) / 1_000;
      sample(samples, `GB a second of ${STREAMS} streams, ${peer.name}`, MEGABYTES / 1_024 / seconds);
    }
  }
}

async function idle(samples: Samples, { name, pid }: Peer, place: Place): Promise<void> {
  // What came before is forgotten first, and the first of them take memory for whatever comes after, too.
  (await load.stand(place, 100)).leave();
  await Bun.sleep(5_000);
  const before = memoryOf(pid);
  const standing = await load.stand(place, IDLE);
  await Bun.sleep(5_000); // who is idle has been for a while
  sample(samples, `KB an idle tunnel, ${name}`, (memoryOf(pid) - before) / IDLE / 1_024);
  standing.leave();
  await Bun.sleep(500);
}

async function warm(place: Place): Promise<void> {
  await load.tunnels(place, WARM);
  await load.refusals(place, WARM / 2);
  await load.requests(place, WARM / 2);
}

export async function measure(): Promise<Figures> {
  const origin = await startOrigin();
  const samples: Samples = new Map();
  const peers: [Peer, Place][] = [];
  try {
    const byName = `${HOST}:${origin.port}`;
    const ours = await startGateway(policyText(origin.port), 1);
    peers.push([ours, { proxyPort: ours.port, target: byName }]);
    if (install('squid')) {
      const squid = await startSquid({ host: HOST, address: '127.0.0.1' });
      peers.push([squid, { proxyPort: squid.port, target: byName }]);
    }
    if (install('tinyproxy')) {
      const tinyproxy = await startTinyproxy({ host: HOST, address: '127.0.0.1' });
      peers.push([tinyproxy, { proxyPort: tinyproxy.port, target: `127.0.0.1:${origin.port}` }]);
    }
    // What runs for months has its hot code compiled: the first seconds are not what a gateway costs.
    for (const [, place] of peers) await warm(place);
    for (let i = 0; i < ROUNDS; i++) for (const [peer, place] of peers) await round(samples, peer, place);
    await times(samples, peers, origin.port);
    for (const [peer, place] of peers) await idle(samples, peer, place);
    const figures = figuresOf(samples);
    if (samples.has('CPU microseconds a tunnel, squid'))
      for (const name of [
        'CPU microseconds a tunnel',
        'refusals a CPU second',
        'requests a CPU second',
        'CPU seconds a GB',
        'KB an idle tunnel',
      ])
        figures[`${name}, of Squid's`] = ratio(samples, name, 'ours', 'squid');
    return figures;
  } finally {
    for (const [peer] of peers) await peer.stop();
    origin.stop();
  }
}

if (import.meta.main) {
  console.log(await measure());
  process.exit(0);
}
