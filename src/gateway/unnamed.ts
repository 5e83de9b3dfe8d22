/**
 * A redirected client whose destination is an address that stands for no name: what it says first may name a host.
 * Then it is that host which is judged and dialled, never the address that the client chose. What says no name, or
 * none that is one, is judged by its address.
 */
import { classOf } from '../names/addressclass.ts';
import { type Host, parseHost } from '../names/host.ts';
import type { Socket, SocketHandler } from '../net/socket.ts';
import { admits, decide } from '../policy/decide.ts';
import { limitsOf } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import { parseClientHello } from '../wire/clienthello.ts';
import { parseRequestHead } from '../wire/http/head.ts';
import type { Arrival } from './arrival.ts';
import { Gathered } from './gathered.ts';
import { type Protocol, protocolOf } from './protocol.ts';
import type { Surroundings } from './surroundings.ts';
import type { Waiter } from './waiting.ts';

export class Unnamed implements SocketHandler, Waiter {
  #held = new Gathered();
  #seen = 0;
  #isOver = false;
  readonly #deadline: number;

  /** `arrival`: by its address, with an aim. `onOver`: what arrives in the end; null: the client left. */
  constructor(
    private readonly arrival: Arrival,
    private readonly around: Surroundings,
    private readonly onOver: (unnamed: Unnamed, arrival: Arrival | null) => void,
  ) {
    this.#deadline = around.clock.monotonic() + around.times.firstBytes;
    arrival.near.handler = this;
  }

  onData(_near: Socket, bytes: Uint8Array): void {
    this.#held.push(bytes);
    const name = this.#name();
    if (name !== undefined) this.#arrive(name);
  }

  onDrain(): void {}

  onEnd(): void {
    if (this.#held.length > 0) this.#arrive(null);
    else this.arrival.near.end();
  }

  onClose(): void {
    if (!this.#isOver) this.onOver(this, null);
    this.#isOver = true;
  }

  check(_now: number, monotonic: number): void {
    if (monotonic >= this.#deadline) this.#arrive(null);
  }

  giveUp(reason: Reason): void {
    this.#over({ ...this.arrival, refused: { reason, detail: null } });
  }

  rejudge(): void {}

  close(): void {
    this.arrival.near.reset();
  }

  /** Null: there is none. Undefined: not yet. */
  #name(): string | null | undefined {
    const { bytes } = this.#held;
    const { port } = this.arrival.aim!;
    const protocol: Protocol | null = port === 443 ? 'tls' : port === 80 ? 'http' : protocolOf(bytes);
    if (protocol === null) return undefined;
    if (protocol === 'other') return null;
    if (protocol === 'tls') {
      const hello = parseClientHello(bytes);
      return hello.state === 'more' ? undefined : hello.state === 'value' ? hello.value.serverName : null;
    }
    const { headerBytes, headerCount } = limitsOf(this.around.policy());
    const head = parseRequestHead(bytes, { bytes: headerBytes, fields: headerCount }, this.#seen);
    if (head.state === 'more') {
      this.#seen = bytes.length;
      return undefined;
    }
    return head.state === 'value' ? (head.value.host?.name ?? null) : null;
  }

  #arrive(name: string | null): void {
    const host = name === null ? null : parseHost(name);
    const rest = this.#held.length > 0 ? this.#held.takeAll() : null;
    const aim = this.arrival.aim!;
    const named = { host: host!, port: aim.port };
    const isNamed = host?.kind === 'name' && this.#mayStandFor(named);
    this.#over({ ...this.arrival, aim: isNamed ? named : aim, rest });
  }

  /**
   * Whether the host could be behind the address that was dialled. No name stands for loopback, the metadata service or
   * a private network, unless a rule says that this host leads there.
   */
  #mayStandFor({ host, port }: { host: Host; port: number }): boolean {
    const { aim, session } = this.arrival;
    if (aim!.host.kind !== 'address') return false;
    const { address } = aim!.host;
    if (classOf(address) === 'public') return true;
    const at = { now: this.around.clock.now(), killed: false, grants: [] };
    const { allowedBy } = decide(this.around.policy(), { agent: session.agent, host, port }, at);
    return allowedBy.some((rule) => admits(rule, address));
  }

  #over(arrival: Arrival): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onOver(this, arrival);
  }
}
