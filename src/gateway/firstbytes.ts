/**
 * On ports that only an explicit rule opens: TLS and HTTP are looked at as on their own ports, anything else
 * passes. A client that waits for the origin to speak first is not kept waiting.
 */
import type { Gate, Relay } from '../net/relay.ts';
import type { HeadLimits } from '../wire/http/fields.ts';
import type { Judge } from './gates.ts';
import { Gathered } from './gathered.ts';
import { HttpGate } from './httpgate.ts';
import { isRecordStart, protocolOf } from './protocol.ts';
import { TlsGate } from './tlsgate.ts';

const CR = 13;
const END_OF_LINE = Uint8Array.of(10);

class AnyProtocolGate implements Gate {
  #held = new Gathered();
  /** How much of `#held` has gone out already. */
  #passed = 0;

  constructor(
    private readonly relay: Relay,
    private readonly judge: Judge,
    private readonly limits: HeadLimits,
  ) {}

  push(bytes: Uint8Array): void {
    this.#held.push(bytes);
    const protocol = protocolOf(this.#held.bytes);
    if (protocol === null) {
      this.#undecided();
      return;
    }
    this.judge.unfinished(false);
    const first = this.#held.takeAll();
    if (protocol === 'other') {
      this.relay.gate = null;
      this.relay.pass(first.subarray(this.#passed));
      return;
    }
    const options = { limits: this.limits, webSocket: true, passed: this.#passed };
    const gate =
      protocol === 'tls'
        ? new TlsGate(this.relay, this.judge)
        : new HttpGate(this.relay, this.judge, options);
    this.relay.gate = gate;
    gate.push(first);
  }

  /**
   * Text without an end of line may be the beginning of a request, or all that a client says before it waits for
   * an answer. It goes out: no server acts on part of a request line, and the rest is held until it is judged.
   * What follows a CR is held too, since some servers take a bare one for the end of a line.
   */
  #undecided(): void {
    const { bytes } = this.#held;
    const end = isRecordStart(bytes[0]!) ? 0 : bytes.indexOf(CR);
    if (end !== -1) this.judge.unfinished(true);
    const until = end === -1 ? bytes.length : end;
    if (until <= this.#passed) return;
    this.relay.pass(bytes.slice(this.#passed, until));
    this.#passed = until;
  }

  /** Too short to be TLS, and HTTP only to a server that takes the end of the stream for the end of the line. */
  end(): void {
    const first = this.#held.takeAll();
    if (protocolOf(Buffer.concat([first, END_OF_LINE])) === 'http') {
      this.judge.refuse({ reason: 'http-malformed', detail: 'the client ended within a request' });
      return;
    }
    this.judge.unfinished(false);
    this.relay.gate = null;
    if (first.length > this.#passed) this.relay.pass(first.subarray(this.#passed));
    this.relay.passEnd();
  }
}

/** What looks at the client's bytes on this port. */
export function gateFor(port: number, relay: Relay, judge: Judge, limits: HeadLimits): Gate {
  if (port === 443) return new TlsGate(relay, judge);
  if (port === 80) return new HttpGate(relay, judge, { limits, webSocket: false, passed: 0 });
  return new AnyProtocolGate(relay, judge, limits);
}
