/**
 * What hops 4 and 5 hold against the rules that allowed a connection: the addresses its name leads to, and the
 * name that the client says again in its first bytes. One rule must admit all of it; options of two rules
 * never combine.
 */
import type { Address } from '../names/address.ts';
import { printable } from '../names/display.ts';
import { type Host, hostText, parseHost } from '../names/host.ts';
import { admits, areMixed, judgeAddress } from '../policy/decide.ts';
import type { Decision, Rule, Target } from '../policy/decision.ts';
import type { Policy } from '../policy/policy.ts';
import type { ClientHello } from '../wire/clienthello.ts';
import type { RequestHead } from '../wire/http/head.ts';
import type { Problem } from './gates.ts';

export type Admission = { ok: true; rules: readonly Rule[] } | { ok: false; problem: Problem };

/**
 * Stands in for a rule where `observe` lets through what no rule allows. It admits what some rule could have
 * admitted without naming an address: a missing server name, an encrypted hello. What no rule can ever allow
 * (another name, malformed bytes, another protocol) is refused in `observe` too, and so are address classes,
 * denials and kills: a policy learnt from it must be one that can be enforced.
 */
const OBSERVED: Rule = {
  action: 'allow',
  host: '*',
  ports: [],
  agents: [],
  addresses: [],
  tls: 'any',
  upgrade: [],
  bytesUpPerDay: null,
  until: null,
  note: null,
  force: false,
  source: { kind: 'preset', preset: 'observe', version: '1' },
};

/** The rules that may still let this connection through. */
export function rulesOf(decision: Decision): readonly Rule[] {
  return decision.wouldDeny ? [OBSERVED] : decision.allowedBy;
}

/** What hops 4 and 5 have seen of a connection so far. */
export interface Seen {
  /** Every answer to the target's name; they are judged together. */
  addresses: readonly Address[];
  hello: ClientHello | null;
  /** The protocol that HTTP may change to because a rule names it. */
  change: string | null;
}

/** Those of `rules` that admit all of it. `own`: addresses of the gateway itself. */
export function admitSeen(
  policy: Policy,
  target: Target,
  rules: readonly Rule[],
  seen: Seen,
  own: readonly Address[],
  now: number,
): Admission {
  let admission = admitAddresses(policy, target, rules, seen.addresses, own, now);
  if (admission.ok && seen.hello !== null) admission = admitHello(admission.rules, target, seen.hello);
  if (admission.ok && seen.change !== null) admission = admitChange(admission.rules, seen.change);
  return admission;
}

/** Hop 4: those of `rules` that admit every address. `own`: addresses of the gateway itself. */
export function admitAddresses(
  policy: Policy,
  target: Target,
  rules: readonly Rule[],
  addresses: readonly Address[],
  own: readonly Address[],
  now: number,
): Admission {
  if (areMixed(addresses)) return refused('addresses-mixed', null);
  let first: Problem | null = null;
  const admitting = rules.filter((rule) => {
    for (const address of addresses) {
      const problem = judgeAddress(policy, target, rule, address, now) ?? ownAddress(rule, address, own);
      if (problem === null) continue;
      first ??= problem;
      return false;
    }
    return true;
  });
  return first !== null && admitting.length === 0
    ? { ok: false, problem: first }
    : { ok: true, rules: admitting };
}

/** The gateway may lie on a public address: then the class does not give it away. */
function ownAddress(rule: Rule, address: Address, own: readonly Address[]): Problem | null {
  if (!own.some((mine) => mine.text === address.text) || admits(rule, address)) return null;
  return { reason: 'address-refused', detail: 'the gateway itself' };
}

/**
 * Hop 5, TLS: the name must be the target's. A target that is an address has no name to say (RFC 6066 section 3),
 * so a hello without one is as it should be; one with another name is refused all the same.
 */
export function admitHello(rules: readonly Rule[], target: Target, hello: ClientHello): Admission {
  const { serverName } = hello;
  if (serverName !== null && !isHost(serverName, target.host))
    return refused('sni-mismatch', printable(serverName));
  const nameless = serverName === null && target.host.kind === 'name';
  const named = nameless ? rules.filter((rule) => rule.tls === 'any') : rules;
  if (named.length === 0) return refused('sni-missing', null);
  const admitting = hello.encrypted ? named.filter((rule) => rule.tls === 'ech' || rule === OBSERVED) : named;
  return admitting.length === 0 ? refused('ech', null) : { ok: true, rules: admitting };
}

/** Hop 5, HTTP: a change to another protocol must be named. `protocol` is in lower case. */
export function admitChange(rules: readonly Rule[], protocol: string): Admission {
  const admitting = rules.filter(({ upgrade }) => upgrade.includes(protocol));
  return admitting.length === 0 ? refused('http-upgrade', null) : { ok: true, rules: admitting };
}

/** Hop 5, HTTP: the host must be the target's, and so must the port where one is written. */
export function requestProblem(target: Target, head: RequestHead): Problem | null {
  if (head.host === null) return { reason: 'host-mismatch', detail: 'no Host' };
  const { name, port } = head.host;
  if (isHost(name, target.host) && (port === null || port === target.port)) return null;
  return { reason: 'host-mismatch', detail: printable(port === null ? name : `${name}:${port}`) };
}

function isHost(text: string, host: Host): boolean {
  const parsed = parseHost(text);
  return parsed !== null && parsed.kind === host.kind && hostText(parsed) === hostText(host);
}

function refused(reason: Problem['reason'], detail: string | null): Admission {
  return { ok: false, problem: { reason, detail } };
}
