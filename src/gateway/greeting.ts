/**
 * A client of a proxy listener until it has said who it is and where it wants to go: by HTTP CONNECT or by SOCKS5,
 * perhaps behind what a balancer says. Other HTTP requests are forwarded elsewhere. Nothing is repaired, and what is
 * none of these is recorded and closed.
 */
import type { Address } from '../names/address.ts';
import type { Socket, SocketHandler } from '../net/socket.ts';
import { limitsOf } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import { isTooLarge } from '../wire/http/fields.ts';
import { parseRequestHead, type RequestHead } from '../wire/http/head.ts';
import type { Parsed } from '../wire/parsed.ts';
import { parseProxyHeader } from '../wire/proxyprotocol.ts';
import {
  CONNECT,
  NO_AUTHENTICATION,
  parseSocksCredentials,
  parseSocksGreeting,
  parseSocksRequest,
  type SocksCredentials,
  USER_AND_PASSWORD,
} from '../wire/socks5.ts';
import { type Aim, type Arrival, aimAt } from './arrival.ts';
import { credentialsIn } from './credentials.ts';
import {
  CONNECT_DOOR,
  CONNECT_DOOR_JSON,
  connectDoorSaying,
  type Door,
  SOCKS_DOOR,
  SOCKS_DOOR_NO_AGENT,
  SOCKS_DOOR_NO_METHOD,
  SOCKS_DOOR_UNKNOWN_TYPE,
} from './door.ts';
import { because, type Problem } from './gates.ts';
import { Gathered } from './gathered.ts';
import type { Identified, Identity } from './identity.ts';
import { wantsJson } from './refusal.ts';
import type { Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';
import type { Waiter } from './waiting.ts';

/** What all greetings of one listener share. */
export interface GreetingContext {
  around: Surroundings;
  /** Whose listener it is. */
  agent: string | null;
  sessionOf(agent: string): Session;
  /** Of clients that nobody knows. */
  unidentified: Session;
  /** TLS begins behind what a balancer says; null where it began before, or does not. */
  secure: ((near: Socket, first: Uint8Array) => Socket) | null;
  /** The client has said what it wants: the greeting is over, and whatever comes next has the socket. */
  arrived(greeting: Greeting, arrival: Arrival): void;
  /** It speaks HTTP, but not CONNECT. `bytes` are all that it has said; `address` is where it comes from. */
  forward(greeting: Greeting, bytes: Uint8Array, address: Address | null): void;
  /** It left before it had said anything. */
  onGone(greeting: Greeting): void;
}

/** balancer: a PROXY header comes first. first: the first octet tells the protocol. */
type Step = 'balancer' | 'first' | 'http' | 'methods' | 'credentials' | 'request' | 'over';

/** What the first octets are: of a PROXY header, of a client, or of a further request of one. */
export type Beginning = 'balancer' | 'client' | 'again';

const SOCKS_VERSION = 5;
const METHOD = Buffer.from('CONNECT ');
const isLetter = (octet: number) => (octet | 0x20) >= 0x61 && (octet | 0x20) <= 0x7a;

export class Greeting implements SocketHandler, Waiter {
  #step: Step;
  #held = new Gathered();
  /** How much of `#held` was seen by a parser that wanted more. */
  #seen = 0;
  #identified: Identified | null = null;
  /** Whether a client of SOCKS5 that is asked for credentials could have done without. */
  #offersNone = false;
  readonly #deadline: number;

  /** `address`: of the peer; null where it has none, or nobody needs to know. */
  constructor(
    private readonly context: GreetingContext,
    public near: Socket,
    private address: Address | null,
    begins: Beginning,
  ) {
    const { clock, times } = context.around;
    this.#step = begins === 'balancer' ? 'balancer' : 'first';
    this.#deadline = clock.monotonic() + times.head;
    if (begins === 'client') this.#secure();
    else near.handler = this;
  }

  onData(_near: Socket, bytes: Uint8Array): void {
    this.#held.push(bytes);
    while (this.#held.length > 0 && this.#next());
  }

  onDrain(): void {}

  onEnd(): void {
    if (this.#held.length === 0 && (this.#step === 'first' || this.#step === 'balancer')) this.near.end();
    else this.#refuseUnread(MALFORMED[this.#step], 'the client ended within its request');
  }

  onClose(): void {
    this.#step = 'over';
    this.context.onGone(this);
  }

  /** One that has said nothing at all has asked for nothing. */
  check(_now: number, monotonic: number): void {
    if (monotonic >= this.#deadline) this.giveUp('head-late', true);
  }

  giveUp(reason: Reason, isTold: boolean): void {
    if (this.#step === 'first' && this.#held.length === 0) this.near.reset();
    else this.#refuseUnread(reason, null, isTold);
  }

  rejudge(): void {}

  close(): void {
    this.near.reset();
  }

  /** False where it takes more bytes, or somebody else, to go on. */
  #next(): boolean {
    switch (this.#step) {
      case 'balancer':
        return this.#readBalancer();
      case 'first':
        return this.#readFirst();
      case 'http':
        return this.#readHttp();
      case 'methods':
        return this.#readMethods();
      case 'credentials':
        return this.#readCredentials();
      case 'request':
        return this.#readRequest();
      case 'over':
        return false;
    }
  }

  /** What a parser made of the bytes; null where that was not a value, which is dealt with. */
  #taken<T>(parsed: Parsed<T>, reason: Reason): T | null {
    if (parsed.state === 'malformed') this.#refuseUnread(reason, parsed.detail);
    if (parsed.state !== 'value') return null;
    this.#held.take(parsed.end);
    return parsed.value;
  }

  #readBalancer(): boolean {
    const header = this.#taken(parseProxyHeader(this.#held.bytes), 'proxy-protocol');
    if (header === null) return false;
    this.address = header.source?.address ?? null;
    this.#step = 'first';
    this.#secure();
    return true;
  }

  #secure(): void {
    const { secure } = this.context;
    if (secure !== null) this.near = secure(this.near, this.#held.takeAll());
    this.near.handler = this;
  }

  #readFirst(): boolean {
    const first = this.#held.bytes[0]!;
    if (first === SOCKS_VERSION) this.#step = 'methods';
    else if (isLetter(first)) this.#step = 'http';
    else this.#refuseUnread('not-proxy', null);
    return this.#step !== 'over';
  }

  #readHttp(): boolean {
    const { bytes } = this.#held;
    for (let at = 0; at < METHOD.length; at++) {
      if (at === bytes.length) return false;
      if (bytes[at] !== METHOD[at]) {
        this.#step = 'over';
        this.context.forward(this, this.#held.takeAll(), this.address);
        return false;
      }
    }
    const { headerBytes, headerCount } = limitsOf(this.context.around.policy());
    const parsed = parseRequestHead(bytes, { bytes: headerBytes, fields: headerCount }, this.#seen);
    if (parsed.state === 'more') this.#seen = bytes.length;
    const isLarge = parsed.state === 'malformed' && isTooLarge(parsed.detail);
    const head = this.#taken(parsed, isLarge ? 'head-too-large' : 'http-malformed');
    if (head !== null) this.#connect(head);
    return false;
  }

  #connect(head: RequestHead): void {
    let authorization: string | null = null;
    let accept: string | undefined;
    const { name, port } = head.host!;
    const aim = aimAt(name, port!);
    for (const [name, value] of head.headers) {
      const field = name.toLowerCase();
      if (field === 'accept') accept ??= value;
      if (field !== 'proxy-authorization') continue;
      if (authorization !== null) {
        this.#refuseTwice(aim);
        return;
      }
      authorization = value;
    }
    const door = accept !== undefined && wantsJson(accept) ? CONNECT_DOOR_JSON : CONNECT_DOOR;
    const identity = this.#identify(authorization === null ? null : credentialsIn(authorization));
    this.#arrive(identity, aim, door);
  }

  /** Nobody can say which credentials were meant. */
  #refuseTwice(aim: Aim | Problem): void {
    const detail = 'Proxy-Authorization appears twice';
    this.#refuse(
      this.#sessionUnread(),
      placeIn(aim),
      { reason: 'http-malformed', detail },
      connectDoorSaying(detail),
    );
  }

  /** Whoever can give credentials is asked for them, so that wrong ones are seen. */
  #readMethods(): boolean {
    const methods = this.#taken(parseSocksGreeting(this.#held.bytes), 'socks-malformed');
    if (methods === null) return false;
    this.#offersNone = methods.includes(NO_AUTHENTICATION);
    if (methods.includes(USER_AND_PASSWORD)) {
      this.near.write(Uint8Array.of(SOCKS_VERSION, USER_AND_PASSWORD));
      this.#step = 'credentials';
      return true;
    }
    const identity = this.#identify(null);
    if (!identity.ok)
      return this.#refuse(this.context.unidentified, null, because(identity.reason), SOCKS_DOOR_NO_METHOD);
    if (!this.#offersNone) return this.#refuseUnread('socks-malformed', 'no method that we know is offered');
    this.#identified = identity;
    this.near.write(Uint8Array.of(SOCKS_VERSION, NO_AUTHENTICATION));
    this.#step = 'request';
    return true;
  }

  #readCredentials(): boolean {
    const credentials = this.#taken(parseSocksCredentials(this.#held.bytes), 'socks-malformed');
    if (credentials === null) return false;
    const identity = this.#identifyBySocks(credentials);
    if (!identity.ok)
      return this.#refuse(this.context.unidentified, null, because(identity.reason), SOCKS_DOOR_NO_AGENT);
    this.#identified = identity;
    this.near.write(Uint8Array.of(1, 0));
    this.#step = 'request';
    return true;
  }

  /**
   * An empty password is none: every JVM offers both methods, and sends the name of its user with one when it was given
   * no credentials. Who offers to be asked for nothing is then known as if nothing had been asked.
   */
  #identifyBySocks(credentials: SocksCredentials): Identity {
    if (credentials.password !== '') return this.#identify(credentials);
    return this.#offersNone ? this.#identify(null) : { ok: false, reason: 'credentials-missing' };
  }

  #readRequest(): boolean {
    const request = this.#taken(parseSocksRequest(this.#held.bytes), 'socks-malformed');
    if (request === null) return false;
    const identity = this.#identified!;
    const { command, host, port } = request;
    const aim = typeof host === 'string' ? aimAt(host, port) : aimAtAddress(host, port);
    if (command !== CONNECT) this.#refuseCommand(identity, aim);
    else this.#arrive(identity, aim, host === null ? SOCKS_DOOR_UNKNOWN_TYPE : SOCKS_DOOR);
    return false;
  }

  /** Recorded with where it wanted to go, if that is a place at all. */
  #refuseCommand({ agent }: Identified, aim: Aim | Problem): void {
    this.#refuse(this.context.sessionOf(agent), placeIn(aim), because('socks-command'), SOCKS_DOOR);
  }

  #identify(credentials: { user: string; password: string } | null): Identity {
    const { around, agent } = this.context;
    // Until the balancer has said for whom it speaks, the address is its own.
    const address = this.#step === 'balancer' ? null : this.address;
    return around.identities.identify({ address, listenerAgent: agent, credentials });
  }

  #arrive(identity: Identity, aim: Aim | Problem, door: Door): void {
    const { context } = this;
    if (!identity.ok) {
      this.#refuse(context.unidentified, placeIn(aim), because(identity.reason), door);
      return;
    }
    const session = context.sessionOf(identity.agent);
    if ('reason' in aim) {
      this.#refuse(session, null, aim, door);
      return;
    }
    this.#step = 'over';
    const rest = this.#held.length > 0 ? this.#held.takeAll() : null;
    const known = { near: this.near, session, identified: identity, synthetic: null };
    context.arrived(this, { ...known, aim, refused: null, door, rest });
  }

  /** What was asked for could not be read, or not to its end. */
  #refuseUnread(reason: Reason, detail: string | null, isTold = true): false {
    return this.#refuse(this.#sessionUnread(), null, { reason, detail }, isTold ? DOORS[this.#step] : null);
  }

  /** Whose it is as far as anybody knows: credentials that could not be read leave the listener and the address. */
  #sessionUnread(): Session {
    const identity = this.#identified ?? this.#identify(null);
    return identity.ok ? this.context.sessionOf(identity.agent) : this.context.unidentified;
  }

  #refuse(session: Session, aim: Aim | null, refused: Problem, door: Door | null): false {
    this.#step = 'over';
    const unknown = { near: this.near, session, identified: null, synthetic: null };
    this.context.arrived(this, { ...unknown, aim, refused, door, rest: null });
    return false;
  }
}

/** For the record: null where it is none. */
const placeIn = (aim: Aim | Problem): Aim | null => ('reason' in aim ? null : aim);

/** Null: an address of a type that does not exist. */
function aimAtAddress(address: Address | null, port: number): Aim | Problem {
  if (address === null) return because('socks-malformed');
  return port === 0 ? because('malformed-port') : { host: { kind: 'address', address }, port };
}

/** How each step says no; null: not at all, since nobody knows what is spoken. */
const DOORS: Record<Step, Door | null> = {
  balancer: null,
  first: null,
  http: CONNECT_DOOR,
  methods: SOCKS_DOOR_NO_METHOD,
  credentials: SOCKS_DOOR_NO_AGENT,
  request: SOCKS_DOOR,
  over: null,
};

const MALFORMED: Record<Step, Reason> = {
  balancer: 'proxy-protocol',
  first: 'not-proxy',
  http: 'http-malformed',
  methods: 'socks-malformed',
  credentials: 'socks-malformed',
  request: 'socks-malformed',
  over: 'not-proxy',
};
