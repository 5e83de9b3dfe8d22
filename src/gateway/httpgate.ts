/**
 * Lets an HTTP/1 client through request by request: every head is parsed and judged before it goes out, on a
 * connection that is kept alive too, and bodies pass by their length. Bytes go out as they came.
 */
import type { Gate, Relay } from '../net/relay.ts';
import { type BodyReader, createBodyReader } from '../wire/http/body.ts';
import type { HeadLimits } from '../wire/http/fields.ts';
import { canUpgrade, parseRequestHead, type RequestHead } from '../wire/http/head.ts';
import { parseResponseHead } from '../wire/http/response.ts';
import type { Judge, Problem } from './gates.ts';
import { Gathered } from './gathered.ts';
import { protocolOf } from './protocol.ts';

interface HttpOptions {
  limits: HeadLimits;
  /** Whether a WebSocket needs no rule that names it: not on port 80, where everybody expects nothing but HTTP. */
  webSocket: boolean;
  /** How much of the first head has gone out already, as text that could have been anything. */
  passed: number;
}

/** judging: a head waits for its verdict. switching: a change of protocol waits for the origin's answer. */
type Step = 'head' | 'judging' | 'body' | 'switching' | 'malformed' | 'shut';

export class HttpGate implements Gate {
  /** The last head that was read, so that a refusal can answer it; null before the first. */
  head: RequestHead | null = null;
  /** Requests of which something went out. */
  passed = 0;
  #step: Step = 'head';
  #held = new Gathered();
  /** How much of `#held` the parser has seen without an answer. */
  #seen = 0;
  #body: BodyReader | null = null;
  #ended = false;
  #malformed = '';
  #answer = new Gathered();

  constructor(
    private readonly relay: Relay,
    private readonly judge: Judge,
    private readonly options: HttpOptions,
  ) {}

  push(bytes: Uint8Array): void {
    if (this.#step === 'shut') return;
    this.#held.push(bytes);
    this.#advance();
  }

  end(): void {
    this.#ended = true;
    this.#advance();
  }

  #advance(): void {
    while (this.#held.length > 0 && this.#next());
    if (this.#ended) this.#finish();
  }

  /** False where it takes more bytes, or somebody else, to go on. */
  #next(): boolean {
    if (this.#step === 'head') return this.#readHead();
    if (this.#step === 'body') return this.#readBody();
    if (this.#step === 'malformed') this.#name();
    return false;
  }

  #readHead(): boolean {
    const parsed = parseRequestHead(this.#held.bytes, this.options.limits, this.#seen);
    if (parsed.state === 'more') {
      this.#seen = this.#held.length;
      this.judge.unfinished(true);
      return false;
    }
    this.#seen = 0;
    if (parsed.state === 'malformed') {
      this.#step = 'malformed';
      this.#malformed = parsed.detail;
      return true;
    }
    this.judge.unfinished(false);
    this.head = parsed.value;
    const problem = this.#problemOf(parsed.value);
    if (!(problem instanceof Promise)) return this.#decided(problem, parsed.end);
    this.#step = 'judging';
    this.relay.pauseGate();
    void problem.then((later) => {
      if (this.#step !== 'judging') return;
      if (this.#decided(later, parsed.end)) this.#advance();
      this.relay.resumeGate();
    });
    return false;
  }

  #problemOf(head: RequestHead): Problem | null | Promise<Problem | null> {
    if (head.form === 'authority') return { reason: 'http-upgrade', detail: 'CONNECT' };
    // Only as the first request: what comes back later could belong to an earlier one, and be made to look like a 101.
    const isFirst = this.passed === 0 && canUpgrade(head);
    if (head.upgrade !== null && !(isFirst && this.#mayChangeTo(head.upgrade)))
      return { reason: 'http-upgrade', detail: `Upgrade: ${head.upgrade.slice(0, 100)}` };
    return this.judge.request(head, this.passed + 1);
  }

  #mayChangeTo(protocol: string): boolean {
    return (this.options.webSocket && protocol === 'websocket') || this.judge.mayChangeTo(protocol);
  }

  #decided(problem: Problem | null, end: number): boolean {
    if (problem !== null) return this.#refuse(problem);
    const gone = this.passed === 0 ? this.options.passed : 0;
    this.passed++;
    const head = this.head!;
    this.#body = createBodyReader(head.body);
    this.relay.pass(this.#held.take(end).subarray(gone));
    this.#step = head.body.kind === 'none' ? this.#after(head) : 'body';
    return true;
  }

  #readBody(): boolean {
    const progress = this.#body!.push(this.#held.bytes);
    if (progress.state === 'malformed')
      return this.#refuse({ reason: 'http-malformed', detail: progress.detail });
    if (progress.consumed > 0) this.relay.pass(this.#held.take(progress.consumed));
    if (progress.state === 'done') this.#step = this.#after(this.head!);
    return true;
  }

  /** What follows a whole request: the next one, or first the origin's answer to a change of protocol. */
  #after(head: RequestHead): Step {
    if (head.upgrade === null) return 'head';
    this.relay.pauseGate();
    this.relay.watch = this.#readAnswer;
    return 'switching';
  }

  #readAnswer = (bytes: Uint8Array): void => {
    this.#answer.push(bytes);
    for (;;) {
      const parsed = parseResponseHead(this.#answer.bytes, this.head!.method, this.options.limits);
      if (parsed.state === 'more') return;
      if (parsed.state === 'value' && parsed.value.interim) {
        this.#answer.take(parsed.end);
        continue;
      }
      this.relay.watch = null;
      if (parsed.state === 'value' && parsed.value.upgrade === this.head!.upgrade) this.#open();
      else this.#step = 'head'; // it stays HTTP, and is read as such
      this.#advance();
      this.relay.resumeGate();
      return;
    }
  };

  #open(): void {
    this.#step = 'shut';
    this.relay.gate = null;
    if (this.#held.length > 0) this.relay.pass(this.#held.takeAll());
    if (this.#ended) this.relay.passEnd();
  }

  /** Says what malformed bytes were. The whole first line decides, so that it does not depend on how it was split. */
  #name(): void {
    const protocol = protocolOf(this.#held.bytes);
    if (protocol === null && this.passed === 0 && !this.#ended) {
      this.judge.unfinished(true);
      return;
    }
    // Once one request was HTTP, the rest of the connection is malformed HTTP, whatever it looks like.
    const isHttp = protocol === 'http' || this.passed > 0;
    this.#refuse({ reason: isHttp ? 'http-malformed' : 'not-http', detail: this.#malformed });
  }

  #finish(): void {
    if (this.#step === 'head' && this.#held.length === 0) {
      if (this.passed === 0) this.relay.finish();
      else this.relay.passEnd();
    } else if (this.#step === 'head' || this.#step === 'body')
      this.#refuse({ reason: 'http-malformed', detail: 'the client ended within a request' });
  }

  #refuse(problem: Problem): false {
    this.#step = 'shut';
    this.judge.refuse(problem);
    return false;
  }
}
