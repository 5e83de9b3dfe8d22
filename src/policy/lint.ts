/** Rules that are valid and still worth a second look. Warnings, wherever rules are added or listed. */
import { LOOPBACK } from '../names/address.ts';
import { classOf, classOfRange, classPhrase, metadataIn } from '../names/addressclass.ts';
import { isLocalhost } from '../names/host.ts';
import { parseRange } from '../names/range.ts';
import { admits } from './decide.ts';
import type { Rule } from './decision.ts';
import type { PolicyDocument } from './document.ts';
import { liftedLimits } from './liftedlimits.ts';
import { type Pattern, patternOf } from './pattern.ts';
import { RECEIVING_DOMAINS, SHARED_DOMAINS, WRITABLE_HOSTS } from './sharedhosts.ts';

export interface Warning {
  rule: Rule;
  message: string;
  fix: string;
}

/** Below these prefix lengths a range holds networks of many owners. */
const WIDE_BITS = { 4: 16, 6: 32 } as const;

/** Warnings about the document's own rules, in their order. Presets say their risk themselves. `now`: wall time. */
export function lint(document: PolicyDocument, now: number): Warning[] {
  const warnings: Warning[] = [];
  const seen = new Map<string, Rule>();
  for (const rule of [...document.rules, ...[...document.agents.values()].flatMap((agent) => agent.rules)]) {
    const found =
      rule.action === 'deny'
        ? ending(rule, now)
        : [...breadth(rule), ...addressing(rule, document), ...upgrading(rule), ...repetition(rule, seen)];
    for (const [message, fix] of found) warnings.push({ rule, message, fix });
  }
  for (const [rule, message, fix] of liftedLimits(document)) warnings.push({ rule, message, fix });
  return warnings;
}

type Finding = readonly [message: string, fix: string];

function* breadth(rule: Rule): Iterable<Finding> {
  const pattern = patternOf(rule.host);
  switch (pattern.kind) {
    case 'any':
      yield ['any host at all may be reached', 'Name the hosts that are needed.'];
      break;
    case 'below': {
      const shared = SHARED_DOMAINS.get(pattern.name);
      if (shared !== undefined || rule.force)
        yield [
          `${rule.host} is wide: ${shared ?? 'anybody can have a name below it'}`,
          'Name the hosts that are needed.',
        ];
      break;
    }
    case 'range':
      if (pattern.range.bits < WIDE_BITS[pattern.range.first.family])
        yield [`${rule.host} is a wide range`, 'Name the addresses that are needed.'];
      break;
    case 'name':
  }
  const why = whyWritable(pattern);
  if (why !== null)
    yield [
      `anybody can send data to ${pattern.text}: ${why}`,
      'Take it out, or limit it to the agents that need it.',
    ];
}

function whyWritable(pattern: Pattern): string | null {
  if (pattern.kind === 'name' && WRITABLE_HOSTS.has(pattern.name)) return WRITABLE_HOSTS.get(pattern.name)!;
  if (pattern.kind !== 'name' && pattern.kind !== 'below') return null;
  const labels = pattern.name.split('.');
  const receives = labels.some((_, i) => RECEIVING_DOMAINS.has(labels.slice(i).join('.')));
  return receives ? 'it exists to receive requests' : null;
}

/** An allow rule that is over takes something away, which somebody notices; a denial that is over does not. */
function* ending({ until }: Rule, now: number): Iterable<Finding> {
  if (until !== null && until <= now)
    yield [
      `the denial ended ${new Date(until).toISOString()} and refuses nothing any more`,
      'Take it out, or take until out of it.',
    ];
}

function* addressing(rule: Rule, document: PolicyDocument): Iterable<Finding> {
  const pattern = patternOf(rule.host);
  const [first] =
    pattern.kind === 'range'
      ? [pattern.range.first]
      : pattern.kind === 'name'
        ? (document.hosts.get(pattern.name) ?? [])
        : [];
  const addressClass =
    pattern.kind === 'range' ? classOfRange(pattern.range) : first === undefined ? null : classOf(first);
  if (first !== undefined && addressClass !== null && addressClass !== 'public' && !admits(rule, first))
    yield [
      `the rule cannot hold: ${first.text} is ${classPhrase(addressClass)}`,
      `Add addresses: ["${pattern.kind === 'range' ? pattern.text : first.text}"] to it.`,
    ];
  const isHere = pattern.kind === 'name' && first === undefined && isLocalhost(pattern.name);
  if (isHere && !admits(rule, LOOPBACK[4]) && !admits(rule, LOOPBACK[6]))
    yield [
      `the rule cannot hold: ${pattern.name} is this machine`,
      'Add addresses: ["127.0.0.1", "::1"] to it.',
    ];
  for (const text of rule.addresses) {
    const range = parseRange(text);
    const service = range === null ? null : metadataIn(range);
    if (service !== null)
      yield [
        `${text} holds the metadata service of a cloud${service.text === text ? '' : ` (${service.text})`}`,
        'Name narrower ranges: the service hands out credentials.',
      ];
  }
}

function* upgrading({ upgrade, ports }: Rule): Iterable<Finding> {
  if (upgrade.length > 0 && ports.every((port) => port === 443))
    yield ['its upgrade has no effect: on port 443 nothing is seen of HTTP', 'Take upgrade out.'];
}

function* repetition(rule: Rule, seen: Map<string, Rule>): Iterable<Finding> {
  const { host, ports, agents, addresses, tls, upgrade, bytesUpPerDay, until } = rule;
  const key = JSON.stringify([host, ports, agents, addresses, tls, upgrade, bytesUpPerDay, until]);
  const first = seen.get(key);
  if (first === undefined) seen.set(key, rule);
  else if (first.source.kind === 'file')
    yield [`it repeats line ${first.source.line}`, 'Take one of the two out.'];
}
