/**
 * One forwarded request from hop 3's row to its close: recorded, dialled, sent, answered. What the client sends and
 * gets is `Forward`'s; the connection to the origin is here.
 */
import type { Address } from '../names/address.ts';
import { authority } from '../names/host.ts';
import type { Ending, Socket, SocketHandler } from '../net/socket.ts';
import { writeAll } from '../net/writing.ts';
import type { Rule } from '../policy/decision.ts';
import { limitsOf, type Policy } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import { type BodyReader, createBodyReader } from '../wire/http/body.ts';
import { writeRequestHead } from '../wire/http/passing.ts';
import { type Admission, admitAddresses, rulesOf } from './admission.ts';
import { type AnswerSituation, ForwardAnswer } from './forwardanswer.ts';
import type { Asker } from './forwardasker.ts';
import type { ForwardContext } from './forwardcontext.ts';
import type { Origin } from './forwardorigins.ts';
import { canRepeat, decideNow, type ForwardRequest, upgrading } from './forwardrequest.ts';
import type { Problem } from './gates.ts';
import type { Gathered } from './gathered.ts';
import { isFailure } from './refusal.ts';
import { Rows } from './rows.ts';
import { tellRefusal } from './telling.ts';
import { countUp } from './usage.ts';

/** `deciding`: its row is being written. `over`: nothing is done any more. */
type Stage = 'deciding' | 'dialling' | 'open' | 'switched' | 'over';

const NEVER = Number.POSITIVE_INFINITY;

/** Looks at the clock, twice a second, for which an early answer waits for the end of a body in chunks. */
const EARLY_LOOKS = 2;
const NOTHING = new Uint8Array(0);

export class Exchange implements SocketHandler, AnswerSituation {
  #stage: Stage = 'deciding';
  readonly #rows: Rows;
  #policy: Policy;
  #rules: readonly Rule[];
  #addresses: readonly Address[] = [];
  #origin: Origin | null = null;
  /** Whether the connection had served another request before. */
  #reused = false;
  /** What the origin's socket had counted when this request began on it; less what went over an earlier one. */
  #up = 0;
  #down = 0;
  #isMetered: boolean;

  readonly #body: BodyReader;
  /** The whole request has been handed to the origin's socket. */
  #sent: boolean;
  /** Whether more of it has to wait. */
  isFull = false;

  readonly #answer: ForwardAnswer;
  /** An answer came before the request's end, and waits. */
  #early = false;
  #looks = 0;
  /** Monotonic milliseconds by which the answer must have begun. */
  #lateAt = NEVER;
  #moved = -1;
  #movedAt = 0;

  constructor(
    private readonly context: ForwardContext,
    private readonly asker: Asker,
    readonly request: ForwardRequest,
    since: number,
  ) {
    const { session, policy, rules, head } = request;
    this.#policy = policy;
    this.#rules = rules;
    this.#body = createBodyReader(head.body);
    this.#sent = head.body.kind === 'none' || (head.body.kind === 'length' && head.body.length === 0);
    this.#isMetered = this.#isLimited();
    this.#rows = new Rows(session, context.around, since);
    this.#rows.far = this;
    const limits = limitsOf(policy);
    this.#answer = new ForwardAnswer(head, { bytes: limits.headerBytes, fields: limits.headerCount }, this);
  }

  // For the record: octets of this request alone.
  get bytesOut(): number {
    return this.#origin === null ? -this.#up : this.#origin.socket.bytesOut - this.#up;
  }

  get bytesIn(): number {
    return this.#origin === null ? -this.#down : this.#origin.socket.bytesIn - this.#down;
  }

  /** The one that judged it last. */
  get policy(): Policy {
    return this.#policy;
  }

  run(): void {
    this.#hops().catch(this.#bug);
  }

  #bug = (bug: unknown): void => {
    this.context.around.onBug(bug);
    this.asker.broken();
  };

  async #hops(): Promise<void> {
    const { target, decision, head } = this.request;
    const recorded = await this.#rows.open('http', target, decision);
    if (this.#stage !== 'deciding') return;
    if (!recorded) return this.#stop({ reason: 'audit-unavailable', detail: null });
    this.#stage = 'dialling';
    // A connection that was idle may be closed by now: only what can be asked twice goes out on one.
    const idle = canRepeat(head) ? this.asker.idleOrigin(target, this.#policy) : null;
    if (idle === null) return this.#dial();
    this.#reused = true;
    this.#addresses = idle.addresses;
    const admission = this.#admit(this.#policy, this.#rules);
    if (!admission.ok) {
      idle.socket.reset();
      return this.#stop(admission.problem);
    }
    this.#rules = admission.rules;
    this.#join(idle);
  }

  /** Hop 4: resolve once, judge every answer, connect to one that was judged. */
  async #dial(): Promise<void> {
    const { around } = this.context;
    const { target } = this.request;
    const { host, port } = target;
    const answer =
      host.kind === 'name'
        ? await around.resolver().resolve(host.name, () => this.#stage === 'dialling')
        : { ok: true as const, addresses: [host.address] };
    if (this.#stage !== 'dialling') return;
    if (!answer.ok) return this.#stop({ reason: 'name-not-resolved', detail: answer.detail });
    this.#addresses = answer.addresses;
    const admission = this.#admit(this.#policy, this.#rules);
    if (!admission.ok) return this.#stop(admission.problem);
    this.#rules = admission.rules;
    const dialling = around.dial(answer.addresses, port, { timeout: around.times.connect });
    this.asker.holdUntil(dialling.then(({ pending }) => pending));
    const dialled = await dialling;
    if (this.#stage !== 'dialling') {
      if (dialled.ok) dialled.socket.reset();
      return;
    }
    if (!dialled.ok) return this.#stop({ reason: 'connect-failed', detail: dialled.detail });
    this.#join({ socket: dialled.socket, target, addresses: answer.addresses });
  }

  #admit(policy: Policy, rules: readonly Rule[]): Admission {
    const { clock, selfAddresses } = this.context.around;
    return admitAddresses(policy, this.request.target, rules, this.#addresses, selfAddresses, clock.now());
  }

  /** Hop 5: the request goes out, with what has come of its body. */
  #join(origin: Origin): void {
    const { head, path, target } = this.request;
    this.#origin = origin;
    this.#up += origin.socket.bytesOut;
    this.#down += origin.socket.bytesIn;
    this.#stage = 'open';
    origin.socket.handler = this;
    const place = authority(target.host, target.port);
    const passage = { path, authority: place.replace(/:80$/, ''), upgrade: head.upgrade };
    const text = writeRequestHead(head, passage);
    this.#toOrigin([Buffer.from(text, 'latin1')]);
    if (this.#stage === 'open') this.asker.wantsMore();
  }

  // The request's body.

  /** Takes what belongs to the body out of what the client has sent. */
  takeBody(held: Gathered): void {
    if (this.#stage !== 'open' || this.#sent || this.isFull || held.length === 0) return;
    const pieces: Uint8Array[] = [];
    const progress = this.#body.push(held.bytes, pieces);
    if (progress.state === 'malformed') {
      this.#stop({ reason: 'http-malformed', detail: progress.detail });
      return;
    }
    held.drop(progress.consumed);
    this.#sent = progress.state === 'done';
    this.#toOrigin(pieces);
    if (this.#sent && this.#early) this.#release();
  }

  /** The client has ended: false where that is in the middle of its request. */
  clientEnded(): void {
    if (this.#sent) return;
    this.#stop({ reason: 'http-malformed', detail: 'the client ended within a request' });
  }

  #toOrigin(pieces: Uint8Array[]): void {
    const far = this.#origin!.socket;
    if (this.#isMetered && !this.#countUp(pieces.reduce((sum, { length }) => sum + length, 0))) return;
    if (!writeAll(far, pieces)) this.isFull = true;
  }

  /** Whether something limits the octets that go out. */
  #isLimited(): boolean {
    const { usage } = this.context;
    return this.#rules.some((rule) => usage.isMetered(this.request.session.agent, rule));
  }

  #countUp = (octets: number): boolean => {
    if (this.#stage === 'over') return false;
    const left = countUp(this.context.usage, this.request.session.agent, this.#rules, octets);
    if (typeof left === 'string') this.#stop({ reason: left, detail: null });
    else this.#rules = left;
    return typeof left !== 'string';
  };

  // The answer.

  onData(far: Socket, bytes: Uint8Array): void {
    if (this.#stage !== 'open') return;
    if (this.#early) far.pause(); // at most this once: what it had read already
    this.#passAnswer(bytes);
  }

  #passAnswer(bytes: Uint8Array): void {
    const far = this.#origin!.socket;
    const { near } = this.asker;
    const pieces: Uint8Array[] = [];
    const state = this.#answer.push(bytes, pieces);
    if (state === 'malformed') {
      this.#stop({ reason: 'response-malformed', detail: this.#answer.detail });
      return;
    }
    this.#early = state === 'early';
    const hasRoom = writeAll(near, pieces);
    if (this.#stage !== 'open') return;
    if (this.#early || (!hasRoom && near.open)) far.pause();
    if (state === 'done') this.#complete();
    else if (state === 'switched') this.#switch();
  }

  /** What follows of a body in chunks may be malformed, and then that is the answer. */
  isEarly(): boolean {
    return !this.#sent && this.request.head.body.kind === 'chunked' && this.#looks < EARLY_LOOKS;
  }

  isLast(): boolean {
    const { close, version } = this.request.head;
    return close || version === 0 || !this.#sent || this.asker.isLeaving;
  }

  #release(): void {
    this.#looks = EARLY_LOOKS;
    this.#passAnswer(NOTHING);
    if (this.#stage === 'open') this.#origin!.socket.resume();
  }

  #complete(): void {
    const { socket } = this.#origin!;
    const { rest, originCloses, close } = this.#answer;
    const isClean = this.#sent && rest.length === 0;
    const isKept = isClean && !originCloses && socket.open;
    this.#over('done', null);
    if (!isClean) socket.reset();
    else if (!isKept) this.asker.part(socket);
    this.asker.answered(isKept ? this.#origin : null, close, !this.#sent);
  }

  #switch(): void {
    this.#stage = 'switched';
    const meter = this.#isMetered ? this.#countUp : null;
    this.asker.switched(this.#origin!.socket, this.#answer.rest.takeAll(), meter);
  }

  /** The two have come to their end. */
  switchedEnded(ending: Ending): void {
    this.#over(ending === 'reset' ? 'reset' : 'done', null);
  }

  onDrain(): void {
    this.isFull = false;
    this.asker.wantsMore();
  }

  nearDrained(): void {
    if (this.#stage === 'open' && !this.#early) this.#origin!.socket.resume();
  }

  onEnd(far: Socket): void {
    if (this.#early) this.#release();
    if (this.#stage !== 'open') return;
    if (!this.#answer.untilClose) {
      this.#lost();
      return;
    }
    this.#over('done', null);
    this.asker.part(far);
    this.asker.answered(null, true, !this.#sent);
  }

  onClose(): void {
    if (this.#early) this.#release();
    if (this.#stage === 'open') this.#lost();
  }

  /** The origin is gone before its answer was complete. */
  #lost(): void {
    if (this.#reused && this.#answer.isEmpty) this.#again();
    else this.#stop({ reason: 'connect-failed', detail: 'the origin ended before its answer did' });
  }

  /** It had closed an idle connection while the request was on its way. */
  #again(): void {
    const { socket } = this.#origin!;
    this.#up = -this.bytesOut;
    this.#down = -this.bytesIn;
    this.#origin = null;
    this.#reused = false;
    this.#stage = 'dialling';
    this.asker.part(socket);
    this.#dial().catch(this.#bug);
  }

  // Its end, one way or another.

  #over(outcome: 'done' | 'failed' | 'refused' | 'reset', reason: Reason | null): void {
    this.#stage = 'over';
    this.#early = false;
    this.#rows.close(outcome, reason);
  }

  #stop(problem: Problem): void {
    const { begun } = this.#answer;
    const failure = isFailure(problem.reason);
    if (!failure) this.#rows.refuse(problem);
    // Where the answer has begun nothing else says it.
    if (!failure && begun) tellRefusal(this.context.around, this.request, problem);
    this.#over(!failure ? 'refused' : begun ? 'reset' : 'failed', problem.reason);
    this.#origin?.socket.reset();
    if (begun) this.asker.broken();
    else this.asker.failed(problem, !this.#sent);
  }

  /** At once and on both sides. */
  cut(reason: Reason): void {
    const begun = this.#stage === 'open' || this.#stage === 'switched';
    if (!begun) this.#rows.refuse({ reason, detail: null });
    this.#over(begun ? 'reset' : 'refused', reason);
    this.#origin?.socket.reset();
    this.asker.broken();
  }

  /** The client is gone. */
  abandon(): void {
    if (this.#stage === 'over') return;
    this.#over('reset', null);
    this.#origin?.socket.reset();
  }

  /** Judged again by this policy. */
  rejudge(policy: Policy): void {
    if (this.#stage === 'over') return;
    const { identified, target, head } = this.request;
    if (identified !== null && !this.context.holds(identified)) {
      this.cut('agent-removed');
      return;
    }
    const decision = decideNow(this.context.around, policy, target);
    const rules = decision.verdict === 'allow' ? upgrading(rulesOf(decision), head) : [];
    const admission = this.#admit(policy, rules);
    if (rules.length === 0 || !admission.ok)
      this.cut(decision.reason === 'killed' ? 'killed' : 'policy-changed');
    else {
      this.#policy = policy;
      this.#rules = admission.rules;
      this.#isMetered = this.#isLimited();
    }
  }

  /** Time limits, and rules that have ended meanwhile. */
  check(now: number, monotonic: number): void {
    if (this.#rules.some(({ until }) => until !== null && until <= now)) this.rejudge(this.#policy);
    if (this.#early && ++this.#looks >= EARLY_LOOKS) this.#release();
    if (this.#stage === 'over') return;
    this.#rows.progress(monotonic);
    const limits = limitsOf(this.#policy);
    const waiting = this.#stage === 'open' && this.#sent && this.#answer.isEmpty;
    if (!waiting) this.#lateAt = NEVER;
    else if (this.#lateAt === NEVER) this.#lateAt = monotonic + limits.responseTimeout;
    else if (monotonic >= this.#lateAt) {
      this.#stop({ reason: 'response-late', detail: null });
      return;
    }
    const { near } = this.asker;
    const moved = near.bytesIn + near.bytesOut + this.bytesIn + this.bytesOut;
    if (moved !== this.#moved) {
      this.#moved = moved;
      this.#movedAt = monotonic;
    } else if (monotonic - this.#movedAt >= limits.idle) this.cut('idle-timeout');
  }
}
