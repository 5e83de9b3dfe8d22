/** What a connection needs of the world around it; given by the gateway, so that tests can give something else. */
import type { Clock } from '../base/clock.ts';
import type { Recorder } from '../events/event.ts';
import type { Address } from '../names/address.ts';
import type { dial } from '../net/dial.ts';
import type { Socket } from '../net/socket.ts';
import type { Policy } from '../policy/policy.ts';
import type { Identities } from './identity.ts';
import type { Refusal } from './refusal.ts';
import type { Usage } from './usage.ts';

/** Where a connection was going before it was redirected. */
export interface Destination {
  address: Address;
  port: number;
}

export interface Resolver {
  /**
   * The whole answer, both families, so that all of it is judged. `detail` is for the record. `isWanted`: whether the
   * question may still be asked, where it has to wait.
   */
  resolve(
    name: string,
    isWanted?: () => boolean,
  ): Promise<{ ok: true; addresses: readonly Address[] } | { ok: false; detail: string }>;
}

/** Milliseconds. */
export interface Times {
  /** For a client of a proxy to say what it wants. */
  head: number;
  /** For all attempts to connect together. */
  connect: number;
  /** For the client's hello or request head, from accept or from its first octet. */
  firstBytes: number;
  /** For a refused client to read why and close. */
  farewell: number;
}

export interface Surroundings {
  policy: () => Policy;
  clock: Clock;
  recorder: Recorder;
  resolver: () => Resolver;
  killed: (agent: string) => boolean;
  /** The gateway's own addresses, which no rule reaches unless its `addresses` names them. */
  selfAddresses: readonly Address[];
  onRefusal: (refusal: Refusal) => void;
  onBug: (bug: unknown) => void;
  destinationOf: (socket: Socket) => Destination | null;
  dial: typeof dial;
  times: Times;
  usage: Usage;
  identities: Identities;
}
