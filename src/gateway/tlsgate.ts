/**
 * Lets a TLS client through once its plaintext ClientHello has been judged, and again after a HelloRetryRequest,
 * whose second ClientHello may name another server. Until the origin has answered, nothing but the first
 * ClientHello goes out: a second one sent too early would otherwise slip past.
 */
import type { Gate, Relay } from '../net/relay.ts';
import { parseClientHello } from '../wire/clienthello.ts';
import { parseServerHello } from '../wire/serverhello.ts';
import type { Judge } from './gates.ts';
import { Gathered } from './gathered.ts';

const HANDSHAKE = 22;
/** Early data (RFC 8446 section 4.2.10) that may wait here for the origin's answer. */
const EARLY_MAX = 65_536;

/** first: no hello yet. answer: sent, the origin has yet to speak. second: the origin asked again. */
type Step = 'first' | 'answer' | 'second' | 'shut';

export class TlsGate implements Gate {
  /** Whether a ClientHello was read, so that the client understands an alert. */
  heard = false;
  #step: Step = 'first';
  #held = new Gathered();
  #answer = new Gathered();
  #ended = false;

  constructor(
    private readonly relay: Relay,
    private readonly judge: Judge,
  ) {}

  push(bytes: Uint8Array): void {
    if (this.#step === 'shut') return;
    this.#held.push(bytes);
    if (this.#step !== 'answer') this.#readHello();
    else if (this.#held.length > EARLY_MAX) this.relay.pauseGate();
  }

  end(): void {
    if (this.#step === 'shut') return;
    this.#ended = true;
    if (this.#held.length === 0 && this.#step === 'first') this.relay.finish();
    else if (this.#held.length === 0) this.relay.passEnd();
    else if (this.#step !== 'answer') this.#refuse('the client ended within its ClientHello');
  }

  #readHello(): void {
    const second = this.#step === 'second';
    const bytes = this.#held.bytes;
    if (!second && bytes[0] !== HANDSHAKE) {
      this.#step = 'shut';
      this.judge.refuse({ reason: 'not-tls', detail: null });
      return;
    }
    const parsed = parseClientHello(bytes, { afterRetry: second });
    if (parsed.state === 'more') {
      this.judge.unfinished(true);
      return;
    }
    if (parsed.state === 'malformed') {
      this.#refuse(parsed.detail);
      return;
    }
    this.heard = true;
    const problem = this.judge.hello(parsed.value);
    if (problem !== null) {
      this.#step = 'shut';
      this.judge.refuse(problem);
      return;
    }
    this.judge.unfinished(false);
    this.relay.pass(this.#held.take(parsed.end));
    if (second) {
      this.#open();
      return;
    }
    this.#step = 'answer';
    this.relay.watch = this.#readAnswer;
  }

  #readAnswer = (bytes: Uint8Array): void => {
    this.#answer.push(bytes);
    const parsed = parseServerHello(this.#answer.bytes);
    if (parsed.state === 'more') return;
    this.relay.watch = null;
    // An origin whose answer makes no sense may as well have asked again: only a ClientHello passes.
    if (parsed.state === 'value' && !parsed.value.helloRetryRequest) {
      this.#open();
      return;
    }
    this.#step = 'second';
    this.relay.resumeGate();
    if (this.#held.length > 0) this.#readHello();
  };

  #open(): void {
    this.relay.gate = null;
    this.#step = 'shut';
    if (this.#held.length > 0) this.relay.pass(this.#held.takeAll());
    if (this.#ended) this.relay.passEnd();
    this.relay.resumeGate();
  }

  #refuse(detail: string): void {
    this.#step = 'shut';
    this.judge.refuse({ reason: 'tls-malformed', detail });
  }
}
