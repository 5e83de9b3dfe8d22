/** Everything around the gateway: the only name server, origins that keep what they hear, and where nobody may arrive. */
import { type NameServer, openNameServer } from '../rig/nameserver.ts';
import { openSink, type Sink } from '../rig/sink.ts';
import { type Origin, openOrigin } from './origin.ts';
import { CONTROL } from './policytext.ts';

/** The address of allowed.test in the cases; the rig lets origins listen on others. */
const THEIRS = '93.184.215.14';
export const GOOD_ADDRESS = '203.0.113.14';
export const EVIL_ADDRESS = '203.0.113.66';
export const CONTROL_ADDRESS = '203.0.113.20';
const ORIGIN_PORTS = [22, 80, 443, 8080, 8443];

/** An address of a case as one of the rig. */
export const placed = (address: string): string => (address === THEIRS ? GOOD_ADDRESS : address);

export interface Stand {
  names: NameServer;
  /** The origin of allowed.test and of all else that may be allowed. */
  good: Origin;
  control: Origin;
  /** Loopback, where an agent may reach nothing. */
  own: Origin;
  /** Every other address. */
  sink: Sink;
  /** Answers of the name server for one case. */
  answer(dns: Record<string, { A?: string[]; AAAA?: string[]; sequence?: [string, string][] }>): void;
  forget(): void;
  close(): void;
}

const GOOD_NAMES = [
  ...[
    'allowed.test',
    'x.allowed.test',
    'a.allowed.test',
    'a_b.allowed.test',
    '_dmarc.allowed.test',
    'k.test',
  ],
  ...['acme.github.io', 'camo.githubusercontent.com', 'api.github.com', 'github.com'],
];

export async function openStand(): Promise<Stand> {
  const names = await openNameServer();
  const good = openOrigin([GOOD_ADDRESS], ORIGIN_PORTS);
  const control = openOrigin([CONTROL_ADDRESS], [80, 443]);
  const own = openOrigin(['127.0.0.1', '::1'], [80, 443]);
  const sink = await openSink();
  const stand: Stand = {
    ...{ names, good, control, own, sink },
    answer(dns) {
      names.names.clear();
      // What is not listed resolves too: to where nobody may arrive.
      names.otherwise = [EVIL_ADDRESS];
      for (const name of GOOD_NAMES) names.names.set(name, [GOOD_ADDRESS]);
      for (const name of ['localhost', 'foo.localhost', 'ip6-localhost'])
        names.names.set(name, ['127.0.0.1', '::1']);
      names.names.set(CONTROL, [CONTROL_ADDRESS]);
      for (const [name, { A = [], AAAA = [], sequence }] of Object.entries(dns)) {
        let asked = 0;
        // Each look-up asks twice, for both families.
        const next = () => sequence![Math.min(sequence!.length - 1, Math.floor(asked++ / 2))]!;
        names.names.set(
          name,
          sequence === undefined ? [...A, ...AAAA].map(placed) : () => [placed(next()[1])],
        );
      }
    },
    forget() {
      for (const origin of [good, control, own]) origin.forget();
      names.questions.splice(0);
      sink.arrivals.splice(0);
    },
    close() {
      for (const each of [names, good, control, own, sink]) each.close();
    },
  };
  stand.answer({});
  return stand;
}
