/**
 * One connection from accept to close, in five hops: accept, target, decide, dial, relay (with the first bytes).
 * It is judged by one policy at a time. A bug in here costs this connection, by a reset, and no other.
 */
import type { Address } from '../names/address.ts';
import { parseHost } from '../names/host.ts';
import { Relay } from '../net/relay.ts';
import type { Ending, Socket } from '../net/socket.ts';
import { decide } from '../policy/decide.ts';
import type { Decision, Rule, Target } from '../policy/decision.ts';
import { limitsOf, type Policy } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import type { ClientHello } from '../wire/clienthello.ts';
import { HEAD_LIMITS } from '../wire/http/fields.ts';
import type { RequestHead } from '../wire/http/head.ts';
import { type Admission, admitAddresses, admitHello, requestProblem, rulesOf } from './admission.ts';
import { Farewell } from './farewell.ts';
import { gateFor } from './firstbytes.ts';
import type { Judge, Problem } from './gates.ts';
import { HttpGate } from './httpgate.ts';
import { headerOf, INTERNAL_NAME, InternalAnswer } from './internal.ts';
import { ACCESS_DENIED, httpRefusal, isFailure, type Refusal, refusalOf, wantsJson } from './refusal.ts';
import { Rows } from './rows.ts';
import type { Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';
import { TlsGate } from './tlsgate.ts';

/** How far it has come. `refused`: not closed yet, because the client is being told why. */
type Stage = 'deciding' | 'dialling' | 'open' | 'refused' | 'closed';

const NEVER = Number.POSITIVE_INFINITY;

export class Connection implements Judge {
  #stage: Stage = 'deciding';
  readonly #relay: Relay;
  readonly #rows: Rows;
  #policy: Policy;
  #target: Target | null = null;
  /** The address that stands for the target's name, and is retained so that it keeps doing so. */
  #synthetic: Address | null = null;
  /** Every answer to the target's name; they were judged together. */
  #addresses: readonly Address[] = [];
  #hello: ClientHello | null = null;
  /** The rules that admit all that was seen so far. */
  #rules: readonly Rule[] = [];
  #refusal: Refusal | null = null;
  /** Says the last words: to a refused client, or as `clawctl.internal`. */
  #speaker: { reset(): void } | null = null;
  /** Monotonic milliseconds by which the client must have done its part. */
  #deadline = NEVER;
  #movedBytes = 0;
  #movedAt: number;
  /** Wakes a further request that came before the origin was there. */
  #onOpen = () => {};

  constructor(
    private readonly session: Session,
    private readonly around: Surroundings,
    private readonly near: Socket,
    private readonly onGone: (connection: Connection) => void,
  ) {
    this.#policy = around.policy();
    this.#movedAt = around.clock.monotonic();
    this.#rows = new Rows(session, around, this.#movedAt);
    this.#relay = new Relay(near, (ending) => this.#finished(ending));
    near.handler = this.#relay;
  }

  get agent(): string {
    return this.session.agent;
  }

  /** Hops 1 to 5. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#hops();
    } catch (bug) {
      this.around.onBug(bug);
      this.#relay.reset();
    }
  }

  async #hops(): Promise<void> {
    // 1 Accept: who this is was settled by the listener.
    const { around, session } = this;
    const { agent, names } = session;

    // 2 Target: where it was going before it was redirected, by name where the address stands for one.
    const destination = around.destinationOf(this.near);
    if (destination === null) return this.#deny(null, 'unknown-target');
    const { address, port } = destination;
    const name = names.nameOf(address);
    const host = name === null ? { kind: 'address' as const, address } : parseHost(name);
    if (host === null) return this.#deny(null, 'malformed-host');
    const target = { agent, host, port };
    this.#target = target;
    if (name !== null) {
      names.retain(address);
      this.#synthetic = address;
    }
    if (name === INTERNAL_NAME && port === 80 && !this.#isCrowded()) return this.#answerInternal();
    this.#listen(port);

    // 3 Decide, and let nothing out (the real DNS question included) before that is recorded.
    const decision = this.#decide(this.#policy, target);
    if (decision.verdict !== 'allow') return this.#deny(decision, decision.reason);
    if (this.#isCrowded()) return this.#deny(null, 'limit-connections');
    this.#rules = rulesOf(decision);
    const recorded = await this.#rows.open(port === 80 ? 'http' : 'tcp', target, decision);
    if (this.#stage !== 'deciding') return;
    if (!recorded) return this.#stop({ reason: 'audit-unavailable', detail: null });
    this.#stage = 'dialling';

    // 4 Dial: resolve once, judge every answer, connect to one that was judged.
    const answer = await this.#resolve(target);
    if (this.#stage !== 'dialling') return;
    if (!answer.ok) return this.#stop({ reason: 'name-not-resolved', detail: answer.detail });
    this.#addresses = answer.addresses;
    const admission = this.#admitAddresses(this.#policy, this.#rules);
    if (!admission.ok) return this.#stop(admission.problem);
    this.#rules = admission.rules;
    const dialled = await around.dial(answer.addresses, port, { timeout: around.times.connect });
    if (this.#stage !== 'dialling') {
      if (dialled.ok) dialled.socket.reset();
      return;
    }
    if (!dialled.ok) return this.#stop({ reason: 'connect-failed', detail: dialled.detail });

    // 5 First bytes and relay: what the gate has let through goes out, the rest as it comes.
    this.#stage = 'open';
    this.#rows.far = dialled.socket;
    this.#relay.join(dialled.socket);
    this.#onOpen();
  }

  /** Whether the agent has more connections open than it may. */
  #isCrowded(): boolean {
    return this.around.openOf(this.agent) > limitsOf(this.#policy).connectionsPerAgent;
  }

  #decide(policy: Policy, target: Target): Decision {
    const { clock, killed } = this.around;
    return decide(policy, target, { now: clock.now(), killed: killed(target.agent), grants: [] });
  }

  #resolve({ host }: Target) {
    if (host.kind === 'name') return this.around.resolver().resolve(host.name);
    return { ok: true as const, addresses: [host.address] };
  }

  #admitAddresses(policy: Policy, rules: readonly Rule[]): Admission {
    const { clock, selfAddresses } = this.around;
    return admitAddresses(policy, this.#target!, rules, this.#addresses, selfAddresses, clock.now());
  }

  /** Begins to look at what the client says. On ports 80 and 443 it is the client who speaks first. */
  #listen(port: number): void {
    const limits = { ...HEAD_LIMITS, bytes: limitsOf(this.#policy).headerBytes };
    this.#relay.gate = gateFor(port, this.#relay, this, limits);
    if (port === 80 || port === 443) this.unfinished(true);
  }

  #answerInternal(): void {
    this.#stage = 'refused';
    this.unfinished(true);
    this.#speaker = new InternalAnswer(this.near, this.session, () => this.#finished('closed'));
  }

  // What the gate asks and tells.

  hello(hello: ClientHello): Problem | null {
    if (this.#refusal !== null) return this.#refusal;
    const admission = admitHello(this.#rules, this.#target!, hello);
    if (!admission.ok) return admission.problem;
    this.#hello = hello;
    this.#rules = admission.rules;
    return null;
  }

  request(head: RequestHead, nth: number): Problem | null | Promise<Problem | null> {
    if (this.#refusal !== null) return this.#refusal;
    const problem = requestProblem(this.#target!, head);
    return nth === 1 ? problem : this.#further(this.#target!, problem);
  }

  /**
   * A further request on the same connection is decided and recorded on its own, once the first has gone out: until
   * then neither has been let through, and the record would say so.
   */
  async #further(target: Target, problem: Problem | null): Promise<Problem | null> {
    if (this.#stage !== 'open') {
      await new Promise<void>((resolve) => {
        this.#onOpen = resolve;
      });
    }
    this.#rows.close('done', null);
    const decision = this.#decide(this.around.policy(), target);
    if (decision.verdict !== 'allow') {
      this.#rows.deny('http', target, decision, decision.reason);
      return { reason: decision.reason, detail: null };
    }
    const recorded = this.#rows.open('http', target, decision);
    if (problem !== null) return problem;
    return (await recorded) ? null : { reason: 'audit-unavailable', detail: null };
  }

  unfinished(waiting: boolean): void {
    if (!waiting) this.#deadline = NEVER;
    else if (this.#deadline === NEVER) this.#setDeadline(this.around.times.firstBytes);
  }

  /** The gate says no: the client has spoken, and is answered. */
  refuse(problem: Problem): void {
    if (this.#refusal === null) this.#recordRefusal(problem);
    this.#speak(true);
  }

  // Refusing.

  /** Hop 3 says no. */
  #deny(decision: Decision | null, reason: Reason): void {
    const target = this.#target;
    this.#rows.deny(target?.port === 80 ? 'http' : 'tcp', target, decision, reason);
    this.#recordRefusal({ reason, detail: null });
    this.#speak(false);
  }

  /** Hop 4 says no. */
  #stop(problem: Problem): void {
    this.#recordRefusal(problem);
    this.#speak(false);
  }

  #recordRefusal(problem: Problem): void {
    const { around, session } = this;
    this.#stage = 'refused';
    if (!isFailure(problem.reason)) this.#rows.refuse(problem);
    if (this.#target === null) return;
    this.#refusal = refusalOf(around.clock.now(), this.#target, problem);
    session.remember(this.#refusal);
    around.onRefusal(this.#refusal);
  }

  /** In the client's own protocol, once it has spoken. `final`: there is nothing more to wait for. */
  #speak(final: boolean): void {
    const { gate } = this.#relay;
    const refusal = this.#refusal;
    const isTls = gate instanceof TlsGate && refusal !== null && !isFailure(refusal.reason);
    const isHttp = gate instanceof HttpGate && refusal !== null;
    if (isTls && gate.heard) this.#say(ACCESS_DENIED);
    else if (isHttp && (gate.head !== null || refusal.reason === 'http-malformed')) {
      const json = gate.head !== null && wantsJson(headerOf(gate.head, 'accept'));
      this.#say(httpRefusal(refusal, { json, head: gate.head?.method === 'HEAD', close: true }));
    } else if (final || !(isTls || isHttp) || this.#isCrowded()) this.#relay.reset();
    else this.unfinished(true);
  }

  #say(last: Uint8Array): void {
    const { gate, far } = this.#relay;
    const answersAreDue = gate instanceof HttpGate && gate.passed > 0;
    this.#setDeadline(this.around.times.farewell);
    this.#speaker = new Farewell(this.near, far, answersAreDue, last, () => this.#finished('closed'));
  }

  // What happens later.

  /** Judged again by this policy: a connection that would now be refused is reset. */
  rejudge(policy: Policy): void {
    const target = this.#target;
    if (target === null || !this.#isLive()) return;
    const decision = this.#decide(policy, target);
    let admission: Admission = { ok: false, problem: { reason: decision.reason, detail: null } };
    if (decision.verdict === 'allow') admission = this.#admitAddresses(policy, rulesOf(decision));
    if (admission.ok && this.#hello !== null) admission = admitHello(admission.rules, target, this.#hello);
    if (!admission.ok) {
      this.#cut(decision.reason === 'killed' ? 'killed' : 'policy-changed');
      return;
    }
    this.#policy = policy;
    this.#rules = admission.rules;
  }

  /** Time limits, and rules that have ended meanwhile. */
  check(now: number, monotonic: number): void {
    if (monotonic >= this.#deadline) {
      this.#expire();
      return;
    }
    if (!this.#isLive()) return;
    if (this.#rules.some(({ until }) => until !== null && until <= now)) this.rejudge(this.#policy);
    const { near, far } = this.#relay;
    const moved = near.bytesIn + near.bytesOut + (far === null ? 0 : far.bytesIn + far.bytesOut);
    if (moved !== this.#movedBytes) {
      this.#movedBytes = moved;
      this.#movedAt = monotonic;
    } else if (monotonic - this.#movedAt >= limitsOf(this.#policy).idle) this.#cut('idle-timeout');
  }

  /** The client did not do its part in time. */
  #expire(): void {
    this.#deadline = NEVER;
    if (this.#speaker !== null) this.#speaker.reset();
    else if (this.#isLive()) this.refuse({ reason: 'first-bytes-late', detail: null });
    else this.#relay.reset();
  }

  #setDeadline(milliseconds: number): void {
    this.#deadline = this.around.clock.monotonic() + milliseconds;
  }

  #isLive(): boolean {
    return this.#stage === 'deciding' || this.#stage === 'dialling' || this.#stage === 'open';
  }

  /** At once and on both sides. */
  #cut(reason: Reason): void {
    const wasOpen = this.#stage === 'open';
    if (!wasOpen) this.#rows.refuse({ reason, detail: null });
    this.#rows.close(wasOpen ? 'reset' : 'refused', reason);
    this.#stage = 'closed';
    this.#relay.reset();
  }

  close(): void {
    this.#rows.close('reset', null);
    this.#relay.reset();
    this.#speaker?.reset();
  }

  #finished(ending: Ending): void {
    const reason = this.#refusal?.reason ?? null;
    const broken = ending === 'reset' && this.#relay.brokenBy === this.#relay.far && this.#rows.down === 0;
    if (reason !== null) this.#rows.close(isFailure(reason) ? 'failed' : 'refused', reason);
    else if (broken) this.#rows.close('failed', 'connect-failed');
    else this.#rows.close(ending === 'reset' ? 'reset' : 'done', null);
    this.#stage = 'closed';
    if (this.#synthetic !== null) this.session.names.release(this.#synthetic);
    this.#synthetic = null;
    this.onGone(this);
  }
}
