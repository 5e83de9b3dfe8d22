/** The entries under `listen`: an address alone, or a mapping with options. */
import { isMap, type Node } from 'yaml';
import { hostText } from '../names/host.ts';
import type { Range } from '../names/range.ts';
import { isPlace, type ListenEntry, type Place, placeOf, readPlace } from './listener.ts';
import type { Entry, Reading } from './reading.ts';
import { readAgentName, readRanges } from './ruleentry.ts';

const PROXY_KEYS = ['address', 'tls', 'proxy_protocol', 'agent'];
const OTHER_KEYS = ['transparent', 'dns', 'agent'];
const KINDS = ['address', 'transparent', 'dns'];

export function readListen(reading: Reading, entry: Entry): readonly ListenEntry[] {
  const entries: ListenEntry[] = [];
  const places = new Set<string>();
  for (const node of reading.list(entry, 'listen: [127.0.0.1:8880]')) {
    const read = isMap(node) ? readMapping(reading, node) : readAddress(reading, node);
    if (read === null) continue;
    const place = placeOf(read);
    if (places.has(place)) reading.problem(node, `${place} is given twice`, 'Take one of the two out.');
    places.add(place);
    entries.push(read);
  }
  return entries;
}

function readAddress(reading: Reading, node: Node): ListenEntry | null {
  const where = placeIn(reading, node, 'proxy');
  return where === null ? null : { kind: 'proxy', where, tls: null, proxyProtocol: [], agent: null };
}

function readMapping(reading: Reading, node: Node): ListenEntry | null {
  const given = KINDS.filter((kind) => hasKey(node, kind));
  if (given.length !== 1)
    return reading.problem(
      node,
      given.length === 0 ? 'a listener without an address' : `a listener is one of ${given.join(', ')}`,
      'Write address: for a proxy, transparent: for redirected connections, or dns: for questions.',
    );
  const kind = given[0] === 'address' ? 'proxy' : (given[0] as 'transparent' | 'dns');
  const known = kind === 'proxy' ? PROXY_KEYS : OTHER_KEYS.filter((key) => key === kind || key === 'agent');
  const what = kind === 'proxy' ? 'a proxy listener' : `a ${kind === 'dns' ? 'DNS' : kind} listener`;
  const keys = reading.map(node, what, known);
  const place = keys.get(given[0]!);
  const agentEntry = keys.get('agent');
  const agent = agentEntry === undefined ? null : readAgentName(reading, agentEntry.node);
  if (place === undefined) return null;
  const where = placeIn(reading, place.node, kind);
  if (where === null) return null;
  if (kind !== 'proxy') return 'path' in where ? null : { kind, where, agent };
  const tls = keys.get('tls');
  const balancers = keys.get('proxy_protocol');
  return {
    kind,
    where,
    tls: tls === undefined ? null : readTls(reading, tls),
    proxyProtocol: balancers === undefined ? [] : readBalancers(reading, balancers, where),
    agent,
  };
}

function hasKey(node: Node, name: string): boolean {
  return isMap(node) && node.items.some(({ key }) => (key as { value?: unknown } | null)?.value === name);
}

function placeIn(reading: Reading, node: Node, kind: ListenEntry['kind']): Place | null {
  const text = reading.raw(node, 'an address to listen on');
  if (text === null) return null;
  const result = readPlace(text, kind);
  return isPlace(result) ? result : reading.problem(node, result.message, result.fix);
}

function readTls(reading: Reading, { node }: Entry): { certificate: string; key: string } | null {
  const keys = reading.map(node, "'tls'", ['certificate', 'key']);
  const path = (name: string): string | null => {
    const entry = keys.get(name);
    const fix = `Write tls: { certificate: /path/of/chain.pem, key: /path/of/key.pem }.`;
    if (entry === undefined) return reading.problem(node, `tls without its ${name}`, fix);
    const text = reading.raw(entry.node, `the path of the ${name}`);
    if (text === null || /^\/[^\0-\x1f\x7f]+$/.test(text)) return text;
    return reading.problem(entry.node, `'${text}' is not a whole path`, 'Write it from / on.');
  };
  const [certificate, key] = [path('certificate'), path('key')];
  return certificate === null || key === null ? null : { certificate, key };
}

/** Whoever may speak for others is named: a balancer that anybody could be would make everybody anybody. */
function readBalancers(reading: Reading, entry: Entry, where: Place): readonly Range[] {
  if ('path' in where) {
    reading.problem(entry.key, 'a unix socket has no balancer', 'Take proxy_protocol out.');
    return [];
  }
  const ranges = readRanges(reading, entry, '10.0.0.0/8') ?? [];
  const all = ranges.find(({ bits }) => bits === 0);
  if (all !== undefined)
    reading.problem(
      entry.node,
      `${hostText({ kind: 'address', address: all.first })}/0 lets everybody claim to come from anywhere`,
      'Name the addresses of your balancers.',
    );
  return ranges;
}
