/**
 * One client connection that carries HTTP/1 requests with absolute targets (RFC 9112 section 3.2.2). Each request is
 * judged, recorded and sent on its own, and answered in the order in which it came; the next is looked at when the one
 * before it is over and the client has taken its answer.
 */
import { Relay } from '../net/relay.ts';
import type { Socket, SocketHandler } from '../net/socket.ts';
import type { Decision, Target } from '../policy/decision.ts';
import { limitsOf, type Policy } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import { isTooLarge } from '../wire/http/fields.ts';
import { parseRequestHead, type RequestHead } from '../wire/http/head.ts';
import type { Asker } from './forwardasker.ts';
import type { ForwardContext } from './forwardcontext.ts';
import { Exchange } from './forwardexchange.ts';
import { type Origin, Origins } from './forwardorigins.ts';
import { judgeRequest } from './forwardrequest.ts';
import type { Problem } from './gates.ts';
import { Gathered } from './gathered.ts';
import { headerOf, internalAnswer } from './internal.ts';
import { httpRefusal, httpRefusalOfUnknown, wantsJson } from './refusal.ts';
import { Rows } from './rows.ts';
import type { Session } from './session.ts';
import { tellRefusal } from './telling.ts';
import { Slot } from './usage.ts';
import type { Waiter } from './waiting.ts';

/** What may wait of a client's further requests before it is read no more. */
const HELD_MAX = 65_536;
const NEVER = Number.POSITIVE_INFINITY;

/** `busy`: a request is under way. `last`: the client was told that this was the last answer. `gone`: it is closed. */
type Step = 'head' | 'busy' | 'switched' | 'last' | 'gone';

export class Forward implements SocketHandler, Asker, Waiter {
  #step: Step = 'head';
  readonly #held = new Gathered();
  /** How much of `#held` the parser has seen without an answer. */
  #seen = 0;
  #exchange: Exchange | null = null;
  readonly #origins: Origins;
  /** Its place among the connections of that agent. */
  #slot: Slot | null = null;
  #agent: string | null = null;
  #vanished = false;
  #ended = false;
  #isDraining = false;
  /** Monotonic milliseconds by which the client must have done its part. */
  #deadline = NEVER;
  readonly #acceptedAt: number;
  /** When the request that is under way began. */
  #since: number;
  #movedBytes = -1;
  #movedAt: number;

  /**
   * Takes the client over, its handler included. `first`: what has been read of it so far, at least the first octet.
   * `run` begins.
   */
  constructor(
    private readonly context: ForwardContext,
    readonly near: Socket,
    first: Uint8Array,
  ) {
    this.#origins = new Origins(context.spare, () => this.#vanish());
    this.#acceptedAt = context.around.clock.monotonic();
    this.#since = this.#acceptedAt;
    this.#movedAt = this.#acceptedAt;
    this.#held.push(first);
    near.handler = this;
  }

  run(): void {
    this.#advance();
  }

  // What the client does.

  onData(_near: Socket, bytes: Uint8Array): void {
    if (this.#step === 'last' || this.#step === 'gone') return;
    this.#held.push(bytes);
    this.#advance();
  }

  onDrain(): void {
    this.#exchange?.nearDrained();
    this.#advance();
  }

  onEnd(): void {
    this.#ended = true;
    this.#advance();
  }

  onClose(): void {
    this.#step = 'gone';
    this.#exchange?.abandon();
    this.#exchange = null;
    this.#slot?.letGo();
    this.#slot = null;
    this.#agent = null;
    this.#origins.partAll();
    this.#setDeadline(this.context.around.times.farewell);
    this.#vanish();
  }

  #vanish(): void {
    if (this.#step !== 'gone' || this.#vanished || !this.#origins.isEmpty) return;
    this.#vanished = true;
    this.context.onGone(this);
  }

  /** Goes as far as what has come allows, and stops reading where more would only pile up. */
  #advance(): void {
    this.#exchange?.takeBody(this.#held);
    // A client that does not take its answers gets no more of them.
    while (this.#step === 'head' && this.#held.length > 0 && this.near.unsentBytes === 0 && this.#readHead());
    if (this.#ended) this.#finish();
    if (this.#isFull()) this.near.pause();
    else this.near.resume();
  }

  /** Whether more from the client would only pile up. */
  #isFull(): boolean {
    if (this.#step === 'busy') return this.#exchange!.isFull || this.#held.length >= HELD_MAX;
    return this.#step === 'head' && this.near.unsentBytes > 0;
  }

  #finish(): void {
    if (this.#step === 'head' && this.#held.length === 0) this.#end(false);
    else if (this.#step === 'head' && this.near.unsentBytes === 0)
      this.#refuseHead('http-malformed', 'the client ended within a request');
    else if (this.#held.length === 0) this.#exchange?.clientEnded();
  }

  /** False where it takes more bytes, or somebody else, to go on. */
  #readHead(): boolean {
    const { around } = this.context;
    const policy = around.policy();
    const limits = { bytes: limitsOf(policy).headerBytes, fields: limitsOf(policy).headerCount };
    const parsed = parseRequestHead(this.#held.bytes, limits, this.#seen);
    if (parsed.state === 'more') {
      this.#seen = this.#held.length;
      if (this.#deadline === NEVER) this.#setDeadline(around.times.head);
      return false;
    }
    this.#seen = 0;
    this.#deadline = NEVER;
    if (parsed.state === 'malformed') {
      this.#refuseHead(isTooLarge(parsed.detail) ? 'head-too-large' : 'http-malformed', parsed.detail);
      return false;
    }
    if (parsed.value.form === 'authority') {
      this.#giveBack();
      return false;
    }
    this.#held.drop(parsed.end);
    return this.#begin(parsed.value);
  }

  #begin(head: RequestHead): boolean {
    const judged = judgeRequest(this.context, this.near, head);
    const { session } = judged;
    const crowded = judged.kind === 'refused' ? null : this.#count(session.agent);
    if (crowded !== null) {
      const target = judged.kind === 'allowed' ? judged.target : null;
      return this.#refuse(head, session, target, null, { reason: crowded, detail: null }, true);
    }
    if (judged.kind === 'internal') {
      const close = isLast(head);
      return this.#say(internalAnswer(head, session, close), close);
    }
    if (judged.kind === 'refused')
      return this.#refuse(head, session, judged.target, judged.decision, judged.problem, isLast(head));
    this.#step = 'busy';
    this.#exchange = new Exchange(this.context, this, judged, this.#since);
    this.#exchange.run();
    return false;
  }

  /** Counts the connection as the agent's; why not, if not. */
  #count(agent: string): Reason | null {
    if (agent === this.#agent) return null;
    const slot = new Slot(this.context.usage, agent);
    if (slot.refused !== null) return slot.refused;
    this.#slot?.letGo();
    this.#slot = slot;
    this.#agent = agent;
    this.context.onServed(this);
    return null;
  }

  holdUntil(done: Promise<void>): void {
    this.#origins.use();
    this.#slot?.holdUntil(done);
  }

  // Refusing.

  /** What is no request. Nobody can say where the next one would begin. */
  #refuseHead(reason: Reason, detail: string): void {
    this.#denyUnread(reason);
    this.#say(httpRefusalOfUnknown(reason, detail), true);
  }

  #denyUnread(reason: Reason): void {
    const { session } = this.context.senderOf(this.near, null);
    new Rows(session, this.context.around, this.#since).deny('http', null, null, reason);
  }

  #refuse(
    head: RequestHead,
    session: Session,
    target: Target | null,
    decision: Decision | null,
    problem: Problem,
    close: boolean,
  ): boolean {
    new Rows(session, this.context.around, this.#since).deny('http', target, decision, problem.reason);
    // What is malformed is told as such, and is the last: a second reading could name another target.
    return this.#explain(head, session, problem.reason === 'http-malformed' ? null : target, problem, close);
  }

  #explain(
    head: RequestHead,
    session: Session,
    target: Target | null,
    problem: Problem,
    close: boolean,
  ): boolean {
    if (target === null) return this.#say(httpRefusalOfUnknown(problem.reason, problem.detail), true);
    const refusal = tellRefusal(this.context.around, { session, target }, problem);
    const json = wantsJson(headerOf(head, 'accept'));
    return this.#say(httpRefusal(refusal, { json, head: head.method === 'HEAD', close }), close);
  }

  #say(answer: Uint8Array, close: boolean): boolean {
    this.near.write(answer);
    if (close) this.#end(true);
    else this.#since = this.context.around.clock.monotonic();
    return !close;
  }

  /**
   * No more answers. What still comes is thrown away: a reset could overtake the last one. `soon`: the client has
   * little to read and then to close; others may take their time.
   */
  #end(soon: boolean): void {
    const { around } = this.context;
    this.#step = 'last';
    this.#held.takeAll();
    this.#setDeadline(soon ? around.times.farewell : limitsOf(around.policy()).idle);
    this.near.resume();
    this.near.end();
  }

  #giveBack(): void {
    const { near } = this;
    const bytes = this.#held.takeAll();
    this.onClose();
    near.resume();
    if (near.open) this.context.onConnect(near, bytes);
    if (near.open && this.#ended) near.handler.onEnd(near);
  }

  // What the exchange asks and tells.

  get isLeaving(): boolean {
    return this.#isDraining || (this.#ended && this.#held.length === 0);
  }

  idleOrigin(target: Target, policy: Policy): Origin | null {
    return this.#origins.take(target, policy);
  }

  part(far: Socket): void {
    this.#origins.part(far);
  }

  wantsMore(): void {
    this.#advance();
  }

  answered(origin: Origin | null, close: boolean, unread: boolean): void {
    this.#origins.rest(origin, this.#exchange!.policy);
    this.#exchange = null;
    if (this.#step !== 'busy') return;
    this.#step = 'head';
    this.#since = this.context.around.clock.monotonic();
    if (!close && !this.#isDraining) this.#advance();
    else {
      this.#end(false);
      if (unread) this.#setDeadline(IDLE);
    }
  }

  failed(problem: Problem, unread: boolean): void {
    const { head, session, target } = this.#exchange!.request;
    this.#exchange = null;
    this.#origins.rest(null, null);
    if (this.#step !== 'busy') return;
    this.#step = 'head';
    if (this.#explain(head, session, target, problem, unread || isLast(head))) this.#advance();
  }

  broken(): void {
    this.near.reset();
  }

  switched(far: Socket, first: Uint8Array, meter: ((octets: number) => boolean) | null): void {
    const exchange = this.#exchange!;
    this.#step = 'switched';
    const relay = new Relay(this.near, (ending) => {
      exchange.switchedEnded(ending);
      this.onClose();
    });
    relay.meter = meter;
    this.near.handler = relay;
    relay.join(far);
    if (first.length > 0) relay.onData(far, first);
    if (this.#held.length > 0) relay.onData(this.near, this.#held.takeAll());
    if (this.#ended) relay.onEnd(this.near);
  }

  // What happens later.

  /** Judged again by this policy: requests that would now be refused are reset. */
  rejudge(policy: Policy): void {
    this.#origins.partAll();
    this.#exchange?.rejudge(policy);
  }

  /** Time limits, and rules that have ended meanwhile. To be called about twice a second. */
  check(now: number, monotonic: number): void {
    this.#origins.check();
    if (monotonic >= this.#deadline) {
      this.#expire();
      return;
    }
    const limits = limitsOf(this.context.around.policy());
    if (monotonic - this.#acceptedAt >= limits.lifetime && this.#step !== 'last' && this.#step !== 'gone') {
      if (this.#exchange === null) this.#end(false);
      else this.#exchange.cut('lifetime');
    } else if (this.#exchange !== null) this.#exchange.check(now, monotonic);
    else if (this.#step === 'head') this.#checkIdle(monotonic, Math.min(limits.idle, IDLE));
  }

  /** Between requests, or while the client does not take its answer. */
  #checkIdle(monotonic: number, limit: number): void {
    const moved = this.near.bytesIn + this.near.bytesOut;
    if (moved !== this.#movedBytes) {
      this.#movedBytes = moved;
      this.#movedAt = monotonic;
    } else if (monotonic - this.#movedAt < limit) return;
    else if (this.near.unsentBytes > 0) this.near.reset();
    else this.#end(true);
  }

  /** The client did not do its part in time. */
  #expire(): void {
    this.#deadline = NEVER;
    if (this.#step === 'head') this.#refuseHead('head-late', 'the head of the request');
    else this.close();
  }

  /** The answer under way is the last. */
  drain(): void {
    this.#isDraining = true;
    if (this.#step === 'head' && this.#held.length === 0) this.#end(true);
  }

  giveUp(reason: Reason): void {
    if (this.#step === 'head' && this.#held.length > 0) this.#denyUnread(reason);
    this.close();
  }

  /** At once. */
  close(): void {
    if (this.#step !== 'gone') this.near.reset();
    this.#origins.resetAll();
  }

  #setDeadline(milliseconds: number): void {
    this.#deadline = this.context.around.clock.monotonic() + milliseconds;
  }
}

/** Milliseconds that a client may keep a connection without a request under way. */
const IDLE = 120_000;

/** Whether the connection ends with the answer. HTTP/1.0 clients are not kept (RFC 9112 appendix C.2.2). */
function isLast({ body, close, version }: RequestHead): boolean {
  const isWhole = body.kind === 'none' || (body.kind === 'length' && body.length === 0);
  return close || version === 0 || !isWhole;
}
