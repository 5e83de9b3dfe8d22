/** What must not happen, as eyes on the stand: the names, the origins, the sink, and what the client was told. */
import type { Case } from './case.ts';
import type { Origin } from './origin.ts';
import type { Stand } from './stand.ts';

export interface Seen {
  stand: Stand;
  /** What the client heard, Latin-1. */
  heard: string;
  /** Whether the client got through. */
  allowed: boolean;
  /** Milliseconds that a request of somebody else took meanwhile. */
  controlTook: number;
}

/** Null: it did not happen. */
type Eye = (seen: Seen) => string | null;

const nowhere: Eye = ({ stand }) => {
  const own = stand.own.visits.map(({ address, port }) => `${address}:${port}`);
  const all = [...stand.sink.arrivals, ...own];
  return all.length === 0 ? null : `somebody arrived: ${all.slice(0, 3).join(', ')}`;
};
const noQuestion =
  (pattern: RegExp): Eye =>
  ({ stand }) => {
    const asked = stand.names.questions.filter((name) => pattern.test(name));
    return asked.length === 0 ? null : `the name server was asked for ${asked[0]}`;
  };
const notSaid =
  (pattern: RegExp): Eye =>
  ({ stand }) =>
    stand.good.visits.some(({ octets }) => pattern.test(octets)) ? `the origin heard ${pattern}` : null;

const hostsOf = (origin: Origin) =>
  origin.visits.flatMap(({ requests }) =>
    requests.flatMap(({ line, headers }) => [
      line,
      ...headers.filter(([name]) => name.toLowerCase() === 'host').map(([, value]) => value),
    ]),
  );
const noEvilRequest: Eye = (seen) => {
  const evil = hostsOf(seen.stand.good).find((text) => /evil/i.test(text.replace(/%0d%0a.*/i, '')));
  return evil === undefined ? nowhere(seen) : `the origin was asked for ${evil}`;
};
/** No more requests than one, none that was not meant, and none unless the client got through. */
const oneRequest: Eye = (seen) => {
  const { visits } = seen.stand.good;
  const count = visits.reduce((sum, { requests }) => sum + requests.length, 0);
  if (count > 1) return `the origin had ${count} requests`;
  return noEvilRequest(seen);
};
const sameFraming: Eye = ({ stand, allowed, heard }) => {
  const { visits } = stand.good;
  if (visits.some(({ broken }) => broken)) return 'the origin had octets that are no request';
  if (!allowed && !heard.includes('heard') && visits.some(({ requests }) => requests.length > 0))
    return 'a request that was refused arrived whole';
  return allowed && visits.some(({ unfinished }) => unfinished) ? 'a request arrived in part' : null;
};
const inTime: Eye = ({ controlTook }) =>
  controlTook < 1_000 ? null : `somebody else waited ${Math.round(controlTook)} ms`;
const alive: Eye = () => null; // the control request after the case says it

const EYES: Record<string, Eye> = {
  'dial evil.test': nowhere,
  'dial 1.2.3.4': nowhere,
  'dial the address of evil.test': nowhere,
  'dial any loopback/private/link-local address': nowhere,
  'connect to a private address': nowhere,
  'connect to 203.0.113.66': nowhere,
  'send the credential to 203.0.113.66': nowhere,
  'forward to dst_ip when it is not an address of the approved name': nowhere,
  'DNS query for evil.test': noQuestion(/evil/),
  'DNS query for evil.test or any label under it': noQuestion(/evil/),
  'any DNS query for a denied name': noQuestion(/denied|evil/),
  'any upstream query that carries a denied name': noQuestion(/./),
  'bind evil.test': nowhere,
  'bind 203.0.113.66 to allowed.test': nowhere,
  'dial the host that an OpenSSL server would serve as evil.test': (seen) =>
    notSaid(/evil\.test/i)(seen) ?? nowhere(seen),
  'forward Proxy-Authorization': notSaid(/proxy-(authorization|connection)|c3J0/i),
  'deliver the marker bytes S3CR3T-CANARY to the origin': (seen) => notSaid(/S3CR3T/)(seen) ?? nowhere(seen),
  'forward a request whose effective host is evil.test': noEvilRequest,
  'emit a raw CR or LF': (seen) =>
    seen.stand.good.visits.some(({ requests }) => requests[0]?.line.includes('/%0d%0aHost:%20evil.test')) ||
    !seen.allowed
      ? noEvilRequest(seen)
      : 'the target arrived decoded',
  'pass X-Clawctl-Decision through': ({ heard }) =>
    /x-clawctl-d/i.test(heard) ? 'it was passed through' : null,
  'second lookup between check and connect': ({ stand }) =>
    stand.names.questions.filter((name) => name === 'allowed.test').length > 2
      ? 'it was looked up again'
      : null,
  'origin receives a second request line': oneRequest,
  'forwarded framing differs from the body that was read': sameFraming,
  'forward trailer Host': notSaid(/evil|authorization/i),
  crash: alive,
  'process exit': alive,
  'prototype pollution': () => ('x' in {} ? 'every object has an x' : null),
  "another sandbox's allowed request slower than 1 s p99": inTime,
  'RSS grows by more than 64 MB': alive, // measured where the load is made
};

/** Holds for every case, said or not. */
const ALWAYS: readonly Eye[] = [
  nowhere,
  noQuestion(/evil/),
  (seen) => (seen.allowed ? null : notSaid(/^(CONNECT|.*\bevil\.test\b)/i)(seen)),
];

/** What happened although it must not. */
export function breaches({ must_not = [] }: Case, seen: Seen): string[] {
  const eyes = must_not.map((text) => EYES[text] ?? (() => `there is no eye for '${text}'`));
  return [...new Set([...ALWAYS, ...eyes].map((eye) => eye(seen)).filter((found) => found !== null))];
}
