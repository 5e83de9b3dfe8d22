/**
 * One connection from accept to close, in five hops: accept, target, decide, dial, relay (with the first bytes).
 * It is judged by one policy at a time. A bug in here costs this connection, by a reset, and no other.
 */
import { Relay } from '../net/relay.ts';
import type { Ending } from '../net/socket.ts';
import { decide } from '../policy/decide.ts';
import type { Decision, Rule, Target } from '../policy/decision.ts';
import { limitsOf, type Policy } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import type { ClientHello } from '../wire/clienthello.ts';
import type { RequestHead } from '../wire/http/head.ts';
import {
  type Admission,
  admitChange,
  admitHello,
  admitSeen,
  requestProblem,
  rulesOf,
  type Seen,
} from './admission.ts';
import type { Arrival } from './arrival.ts';
import { Farewell, lastWords } from './farewell.ts';
import { gateFor } from './firstbytes.ts';
import { because, type Judge, type Problem } from './gates.ts';
import { HttpGate } from './httpgate.ts';
import { INTERNAL_NAME, InternalAnswer } from './internal.ts';
import { isFailure, type Refusal } from './refusal.ts';
import { Rows } from './rows.ts';
import type { Surroundings } from './surroundings.ts';
import { tellRefusal } from './telling.ts';
import { countUp, Slot } from './usage.ts';

/** How far it has come. `refused`: not closed yet, because the client is being told why. */
type Stage = 'deciding' | 'dialling' | 'open' | 'refused' | 'closed';
const NEVER = Number.POSITIVE_INFINITY;

/** Where the client speaks first, whatever rule opened the port. */
const speaksFirst = (port: number) => port === 80 || port === 443;

export class Connection implements Judge {
  #stage: Stage = 'deciding';
  readonly #relay: Relay;
  readonly #rows: Rows;
  #policy: Policy;
  readonly #target: Target | null;
  /** Its place among those of its agent; null where it is refused whatever it wants. */
  readonly #slot: Slot | null;
  readonly #seen: Seen = { addresses: [], hello: null, change: null };
  /** The rules that admit all that was seen so far. */
  #rules: readonly Rule[] = [];
  #refusal: Refusal | null = null;
  /** Says the last words: to a refused client, or as `clawctl.internal`. */
  #speaker: { reset(): void } | null = null;
  /** Whether a client that waited for an answer has it. */
  #isWelcome: boolean;
  /** Monotonic milliseconds by which the client must have done its part. */
  #deadline = NEVER;
  readonly #acceptedAt: number;
  /** What the client had sent when it arrived. */
  #heardBytes = 0;
  #movedBytes = 0;
  #movedAt: number;
  #isGone = false;
  /** Wakes a further request that came before the origin was there. */
  #onOpen = () => {};

  constructor(
    private readonly arrival: Arrival,
    private readonly around: Surroundings,
    private readonly onRefused: (connection: Connection) => void,
    private readonly onGone: (connection: Connection) => void,
  ) {
    const { near, session, aim } = arrival;
    this.#policy = around.policy();
    this.#acceptedAt = around.clock.monotonic();
    this.#movedAt = this.#acceptedAt;
    this.#rows = new Rows(session, around, this.#acceptedAt);
    this.#relay = new Relay(near, (ending) => this.#finished(ending));
    near.handler = this.#relay;
    this.#target = aim === null ? null : { agent: session.agent, host: aim.host, port: aim.port };
    this.#isWelcome = arrival.door === null;
    this.#slot = arrival.refused === null ? new Slot(around.usage, session.agent) : null;
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
    // 1 Accept and 2 Target: who this is and where it wants to go, as its entrance found out.
    const { around } = this;
    const { session, refused, synthetic, rest } = this.arrival;
    const target = this.#target;
    if (refused !== null || target === null) return this.#deny(null, refused ?? because('unknown-target'));
    if (synthetic !== null) session.names.retain(synthetic);
    const { host, port } = target;
    const isInternal = host.kind === 'name' && host.name === INTERNAL_NAME && port === 80;
    const limited = this.#slot?.refused ?? null;
    if (isInternal && limited === null) return this.#answerInternal();
    this.#listen(port);

    // 3 Decide, and let nothing out (the real DNS question included) before that is recorded.
    const decision = this.#decide(this.#policy, target);
    if (decision.verdict !== 'allow') return this.#deny(decision, because(decision.reason));
    if (limited !== null) return this.#deny(null, because(limited));
    this.#rules = rulesOf(decision);
    this.#meter();
    const recording = this.#rows.open(port === 80 ? 'http' : 'tcp', target, decision);
    if (rest !== null) this.#relay.onData(this.#relay.near, rest);
    const recorded = await recording;
    if (this.#stage !== 'deciding') return;
    if (!recorded) return this.#stop(because('audit-unavailable'));
    this.#stage = 'dialling';

    // 4 Dial: resolve once, judge every answer, connect to one that was judged.
    const answer = await this.#resolve(target);
    if (this.#stage !== 'dialling') return;
    if (!answer.ok) return this.#stop({ reason: 'name-not-resolved', detail: answer.detail });
    this.#seen.addresses = answer.addresses;
    const problem = this.#narrow(this.#admit(this.#policy, this.#rules));
    if (problem !== null) return this.#stop(problem);
    const dialling = around.dial(answer.addresses, port, { timeout: around.times.connect });
    this.#slot?.holdUntil(dialling.then(({ pending }) => pending));
    const dialled = await dialling;
    if (this.#stage !== 'dialling') {
      if (dialled.ok) dialled.socket.reset();
      return;
    }
    if (!dialled.ok) return this.#stop({ reason: 'connect-failed', detail: dialled.detail });

    // 5 First bytes and relay: what the gate has let through goes out, the rest as it comes.
    this.#stage = 'open';
    this.#rows.far = dialled.socket;
    this.#welcome();
    this.#relay.join(dialled.socket);
    this.#onOpen();
  }

  #decide(policy: Policy, target: Target): Decision {
    const { clock, killed } = this.around;
    return decide(policy, target, { now: clock.now(), killed: killed(target.agent), grants: [] });
  }

  #resolve({ host }: Target) {
    if (host.kind === 'address') return { ok: true as const, addresses: [host.address] };
    return this.around.resolver().resolve(host.name, () => this.#stage === 'dialling');
  }

  #admit(policy: Policy, rules: readonly Rule[]): Admission {
    const { clock, selfAddresses } = this.around;
    return admitSeen(policy, this.#target!, rules, this.#seen, selfAddresses, clock.now());
  }

  #narrow(admission: Admission): Problem | null {
    if (!admission.ok) return admission.problem;
    this.#rules = admission.rules;
    return null;
  }

  /** Begins to look at what the client says. On ports 80 and 443 it is the client who speaks first. */
  #listen(port: number): void {
    const { headerBytes, headerCount } = limitsOf(this.#policy);
    this.#relay.gate = gateFor(port, this.#relay, this, { bytes: headerBytes, fields: headerCount });
    if (this.#isWelcome && speaksFirst(port)) this.unfinished(true);
    this.#heardBytes = this.arrival.near.bytesIn;
  }

  /** A client that waits is told to go on, and then has as long to speak as one that did not have to wait. */
  #welcome(): void {
    const { door, near, rest } = this.arrival;
    if (door === null || this.#isWelcome) return;
    this.#isWelcome = true;
    near.write(door.welcome);
    const { port } = this.#target!;
    if (speaksFirst(port) && rest === null && near.bytesIn === this.#heardBytes) this.unfinished(true);
  }

  /** Counts the octets that go out where something limits them. */
  #meter(): void {
    const { usage } = this.around;
    const { agent } = this.#target!;
    const isMetered = this.#rules.some((rule) => usage.isMetered(agent, rule));
    this.#relay.meter = isMetered ? this.#countUp : null;
  }

  #countUp = (octets: number): boolean => {
    if (!this.#isLive()) return false;
    const left = countUp(this.around.usage, this.#target!.agent, this.#rules, octets);
    if (typeof left !== 'string') this.#rules = left;
    else {
      // Too late for words: what went before may be in the middle of something.
      this.#recordRefusal(because(left));
      this.#relay.reset();
    }
    return typeof left !== 'string';
  };

  #answerInternal(): void {
    const { near, session, rest } = this.arrival;
    this.#welcome();
    this.#stage = 'refused';
    this.unfinished(true);
    this.#speaker = new InternalAnswer(near, session, () => this.#finished('closed'));
    if (rest !== null) near.handler.onData(near, rest);
  }

  // What the gate asks and tells.

  hello(hello: ClientHello): Problem | null {
    if (this.#refusal !== null) return this.#refusal;
    const problem = this.#narrow(admitHello(this.#rules, this.#target!, hello));
    if (problem === null) this.#seen.hello = hello;
    return problem;
  }

  request(head: RequestHead, nth: number): Problem | null | Promise<Problem | null> {
    if (this.#refusal !== null) return this.#refusal;
    const problem = requestProblem(this.#target!, head);
    return nth === 1 ? problem : this.#further(this.#target!, problem);
  }

  mayChangeTo(protocol: string): boolean {
    const may = this.#narrow(admitChange(this.#rules, protocol)) === null;
    if (may) this.#seen.change = protocol;
    return may;
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
      return because(decision.reason);
    }
    const recorded = this.#rows.open('http', target, decision);
    if (problem !== null) return problem;
    return (await recorded) ? null : because('audit-unavailable');
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

  /** Hops 1 to 3 say no. */
  #deny(decision: Decision | null, problem: Problem): void {
    const target = this.#target;
    this.#rows.deny(target?.port === 80 ? 'http' : 'tcp', target, decision, problem.reason);
    this.#recordRefusal(problem);
    // One that was redirected is answered in what it speaks, which it may have said already.
    const { rest } = this.arrival;
    if (rest !== null && this.#isWelcome) this.#relay.onData(this.#relay.near, rest);
    if (this.#speaker === null) this.#speak(false);
  }

  /** Hop 4 says no. */
  #stop(problem: Problem): void {
    this.#recordRefusal(problem);
    this.#speak(false);
  }

  #recordRefusal(problem: Problem): void {
    const { session, refused } = this.arrival;
    this.#stage = 'refused';
    this.onRefused(this);
    if (!isFailure(problem.reason)) this.#rows.refuse(problem);
    this.#refusal = tellRefusal(this.around, { session, target: this.#target }, problem, refused === null);
  }

  /** In the client's own protocol, as soon as it is known. `final`: there is nothing more to wait for. */
  #speak(final: boolean): void {
    const refusal = this.#refusal!;
    const words = this.#isWelcome
      ? lastWords(this.#relay.gate, refusal)
      : this.arrival.door!.refusal(refusal);
    if (words !== 'later' && words !== 'none') this.#say(words);
    else if (final || words === 'none' || this.#slot?.refused != null) this.#relay.reset();
    else this.unfinished(true);
  }

  #say(last: Uint8Array): void {
    const { gate, near, far } = this.#relay;
    const answersAreDue = gate instanceof HttpGate && gate.passed > 0;
    this.#setDeadline(this.around.times.farewell);
    this.#relay.recall(() => {
      if (this.#stage === 'closed') return;
      this.#speaker = new Farewell(near, far, answersAreDue, last, () => this.#finished('closed'));
    });
  }

  // What happens later.

  /** Judged again by this policy: a connection that would now be refused is reset. */
  rejudge(policy: Policy): void {
    const target = this.#target;
    if (target === null || !this.#isLive()) return;
    const { around, arrival } = this;
    if (arrival.identified !== null && !around.identities.holds(arrival.identified))
      this.#cut('agent-removed');
    else if (policy !== this.#policy || around.killed(target.agent)) this.#judgeAgain(policy, target);
  }

  #judgeAgain(policy: Policy, target: Target): void {
    const decision = this.#decide(policy, target);
    const admission = decision.verdict === 'allow' ? this.#admit(policy, rulesOf(decision)) : null;
    this.#policy = policy;
    if (admission?.ok) {
      this.#rules = admission.rules;
      this.#meter();
    } else this.#cut(decision.reason === 'killed' ? 'killed' : 'policy-changed');
  }

  /** Time limits, and rules that have ended meanwhile. */
  check(now: number, monotonic: number): void {
    if (monotonic >= this.#deadline) this.#expire();
    const { lifetime, idle } = limitsOf(this.#policy);
    if (this.#isLive() && monotonic - this.#acceptedAt >= lifetime) this.#cut('lifetime');
    if (!this.#isLive()) return;
    if (this.#rules.some(({ until }) => until !== null && until <= now))
      this.#judgeAgain(this.#policy, this.#target!);
    this.#rows.progress(monotonic);
    if (this.#relay.moved !== this.#movedBytes) {
      this.#movedBytes = this.#relay.moved;
      this.#movedAt = monotonic;
    } else if (monotonic - this.#movedAt >= idle) this.#cut('idle-timeout');
  }

  /** The client did not do its part in time. */
  #expire(): void {
    this.#deadline = NEVER;
    if (this.#speaker !== null) this.#speaker.reset();
    else if (this.#isLive()) this.refuse(because('first-bytes-late'));
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
    if (!wasOpen) this.#rows.refuse(because(reason));
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
    if (this.#isGone) return;
    this.#isGone = true;
    const reason = this.#refusal?.reason ?? null;
    const broken = ending === 'reset' && this.#relay.brokenBy === this.#relay.far && this.#rows.down === 0;
    if (reason !== null) this.#rows.close(isFailure(reason) ? 'failed' : 'refused', reason);
    else if (broken) this.#rows.close('failed', 'connect-failed');
    else this.#rows.close(ending === 'reset' ? 'reset' : 'done', null);
    this.#stage = 'closed';
    const { session, synthetic, refused } = this.arrival;
    if (synthetic !== null && refused === null) session.names.release(synthetic);
    this.#slot?.letGo();
    this.onGone(this);
  }
}
