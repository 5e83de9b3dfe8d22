/** Hops 1 to 3 of one forwarded request: who sends it, where it wants to go, and whether it may. */
import { parseHost } from '../names/host.ts';
import type { Socket } from '../net/socket.ts';
import { decide } from '../policy/decide.ts';
import type { Decision, Rule, Target } from '../policy/decision.ts';
import type { Policy } from '../policy/policy.ts';
import { canUpgrade, type RequestHead } from '../wire/http/head.ts';
import { originForm } from '../wire/http/passing.ts';
import { rulesOf } from './admission.ts';
import { hostProblem } from './arrival.ts';
import type { ForwardContext } from './forwardcontext.ts';
import type { Problem } from './gates.ts';
import type { Identified } from './identity.ts';
import { INTERNAL_NAME } from './internal.ts';
import type { Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';

/** A request that may go on to hop 4. */
export interface ForwardRequest {
  kind: 'allowed';
  head: RequestHead;
  session: Session;
  identified: Identified | null;
  target: Target;
  /** As the origin is asked for it. */
  path: string;
  policy: Policy;
  decision: Decision;
  /** The rules that admit all that was seen so far. */
  rules: readonly Rule[];
}

export type Judged =
  | ForwardRequest
  /** For `clawctl.internal`. */
  | { kind: 'internal'; session: Session }
  | {
      kind: 'refused';
      session: Session;
      /** Null where it could not be read. */
      target: Target | null;
      decision: Decision | null;
      problem: Problem;
    };

const HTTP_PORT = 80;
const TLS_PORT = 443;
/** They answer with the request, in which somebody on the way may have put what the client must not see. */
const ECHOES: ReadonlySet<string> = new Set(['TRACE', 'TRACK']);

/** `head` is of any form but the one of CONNECT. */
export function judgeRequest(context: ForwardContext, near: Socket, head: RequestHead): Judged {
  const authorization = authorizationOf(head);
  const sender = context.senderOf(near, authorization.value);
  const { session } = sender;
  const target = targetOf(head, session.agent);
  const refused = (reason: Problem['reason'], detail: string | null = null, at = target): Judged => {
    return { kind: 'refused', session, target: at, decision: null, problem: { reason, detail } };
  };
  if (authorization.twice) return refused('http-malformed', 'Proxy-Authorization appears twice');
  if (!sender.ok) return refused(sender.reason);
  if (head.form !== 'absolute') return refused('not-proxy', 'the target is not an http URL', null);
  if (target === null) return refused(hostProblem(head.host?.name ?? '').reason);
  const path = originForm(head.method, head.target);
  if (path === null) return refused('http-malformed', 'the path begins with two slashes');
  if (target.host.kind === 'name' && target.host.name === INTERNAL_NAME && target.port === HTTP_PORT)
    return { kind: 'internal', session };

  const policy = context.around.policy();
  const decision = decideNow(context.around, policy, target);
  const allowed = decision.verdict === 'allow';
  const rules = allowed ? upgrading(rulesOf(decision), head) : [];
  const problem = allowed ? problemOf(head, target, rules) : { reason: decision.reason, detail: null };
  if (problem !== null) return { kind: 'refused', session, target, decision, problem };
  const { identified } = sender;
  return { kind: 'allowed', head, session, identified, target, path, policy, decision, rules };
}

export function decideNow(around: Surroundings, policy: Policy, target: Target): Decision {
  const { clock, killed } = around;
  return decide(policy, target, { now: clock.now(), killed: killed(target.agent), grants: [] });
}

/** Those of `rules` that let the request change to the protocol that it asks for; all where it asks for none. */
export function upgrading(rules: readonly Rule[], { upgrade }: RequestHead): readonly Rule[] {
  return upgrade === null ? rules : rules.filter((rule) => rule.upgrade.includes(upgrade));
}

/** Safe to ask twice (RFC 9110 section 9.2.2), and there is nothing else. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a request may be sent again where its connection is closed before any answer came. */
export function canRepeat({ method, body, upgrade }: RequestHead): boolean {
  return upgrade === null && body.kind === 'none' && REPEATABLE.has(method);
}

/** What no rule can allow, and what none of the rules does. */
function problemOf(head: RequestHead, { port }: Target, rules: readonly Rule[]): Problem | null {
  if (ECHOES.has(head.method)) return { reason: 'http-method', detail: null };
  if (port === TLS_PORT) return { reason: 'not-tls', detail: null };
  if (head.upgrade === null) return null;
  if (rules.length > 0 && canUpgrade(head)) return null;
  return { reason: 'http-upgrade', detail: `Upgrade: ${head.upgrade.slice(0, 100)}` };
}

function targetOf({ host }: RequestHead, agent: string): Target | null {
  const parsed = host === null ? null : parseHost(host.name);
  return parsed === null ? null : { agent, host: parsed, port: host!.port ?? HTTP_PORT };
}

const NONE = { value: null, twice: false };

function authorizationOf({ headers }: RequestHead): { value: string | null; twice: boolean } {
  let found: string | null = null;
  for (const [name, value] of headers) {
    if (name.length !== 19 || name.toLowerCase() !== 'proxy-authorization') continue;
    if (found !== null) return { value: null, twice: true };
    found = value;
  }
  return found === null ? NONE : { value: found, twice: false };
}
