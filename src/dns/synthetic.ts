/**
 * Addresses that stand for names inside one session. Each name has one number, and from it an address of
 * either family, so that both always lead to the same name:
 *
 * - IPv4: 198.18.0.0/15, set aside for benchmarks (RFC 2544 appendix C.2.2) and routed nowhere;
 * - IPv6: fd99:992b:5808:9a9d::/64, a unique local prefix with a random global id (RFC 4193 section 3.2).
 *
 * A name keeps its number for as long as there is room. A number goes to another name only when no client can
 * still mean the old one by it: its TTL has run out and no connection uses it.
 */
import type { Clock } from '../base/clock.ts';
import { type Address, addressOf } from '../names/address.ts';

export interface SyntheticAddresses {
  /** Seconds for which a client may keep an address. */
  readonly ttl: number;
  /** Null when every number is taken by another name. */
  addressFor(name: string, family: 4 | 6): Address | null;
  /** Whether the address is of the synthetic ranges, given out or not. */
  covers(address: Address): boolean;
  /** Null for an address that stands for no name now. */
  nameOf(address: Address): string | null;
  /** Keeps the address with its name until `release`; calls count. */
  retain(address: Address): void;
  release(address: Address): void;
}

interface Options {
  clock: Clock;
  /** Seconds. Short, so that numbers come back soon; long enough that a client need not ask for each connection. */
  ttl?: number;
  /** How many names can have an address at once. */
  capacity?: number;
}

interface Binding {
  readonly name: string;
  readonly number: number;
  /** Monotonic milliseconds from which the number may go to another name. */
  freeFrom: number;
  /** Connections that use it now. */
  uses: number;
  /** Neighbours in the order of renewal. A map's own order would do, but finding its first entry is not cheap. */
  older: Binding;
  newer: Binding;
}

const DEFAULT_TTL = 30;
/** At worst 253 octets each and the map's own share: about 12 MB, and an agent needs a few hundred. */
const DEFAULT_CAPACITY = 32_768;
/** An answer may be used at the end of its TTL and the connection take a moment to come here. */
const GRACE_MILLISECONDS = 10_000;

const V4_FIRST = (198 << 24) | (18 << 16);
const V4_COUNT = 2 ** 17;
const V6_PREFIX = Uint8Array.of(0xfd, 0x99, 0x99, 0x2b, 0x58, 0x08, 0x9a, 0x9d, 0, 0, 0, 0);

export function createSyntheticAddresses(options: Options): SyntheticAddresses {
  const { clock, ttl = DEFAULT_TTL } = options;
  const capacity = Math.min(options.capacity ?? DEFAULT_CAPACITY, V4_COUNT - 2);
  const hold = ttl * 1_000 + GRACE_MILLISECONDS;
  const bindings = new Map<string, Binding>();
  /** Closes the ring of bindings: its `newer` was renewed longest ago, and is free before all others. */
  const ring = bind('', 0);
  /** By number. Number 0 would be the network's own address. */
  const numbers: (Binding | undefined)[] = [undefined];

  const renew = (binding: Binding) => {
    binding.freeFrom = clock.monotonic() + hold;
    unlink(binding);
    binding.older = ring.older;
    binding.newer = ring;
    ring.older.newer = binding;
    ring.older = binding;
  };

  /** A number never used so far, else the one that has been free longest; null if none is. */
  const freeNumber = (): number | null => {
    if (numbers.length <= capacity) return numbers.length;
    for (let tries = bindings.size; tries > 0; tries--) {
      const oldest = ring.newer;
      if (oldest.uses === 0) {
        if (oldest.freeFrom > clock.monotonic()) return null;
        bindings.delete(oldest.name);
        unlink(oldest);
        return oldest.number;
      }
      renew(oldest);
    }
    return null;
  };

  const bindingFor = (name: string): Binding | null => {
    const known = bindings.get(name);
    if (known !== undefined) return known;
    const number = freeNumber();
    if (number === null) return null;
    const binding = bind(name, number);
    bindings.set(name, binding);
    numbers[number] = binding;
    return binding;
  };

  const bindingOf = (address: Address) => numbers[numberOf(address.bytes) ?? 0];

  return {
    ttl,
    addressFor(name, family) {
      const binding = bindingFor(name);
      if (binding === null) return null;
      renew(binding);
      return addressOf(bytesOf(binding.number, family));
    },
    covers: (address) => numberOf(address.bytes) !== null,
    nameOf: (address) => bindingOf(address)?.name ?? null,
    retain(address) {
      const binding = bindingOf(address);
      if (binding !== undefined) binding.uses++;
    },
    release(address) {
      const binding = bindingOf(address);
      if (binding === undefined || binding.uses === 0) return;
      binding.uses--;
      renew(binding);
    },
  };
}

/** A binding beside itself, in no ring yet. */
function bind(name: string, number: number): Binding {
  const binding = { name, number, freeFrom: 0, uses: 0 } as Binding;
  binding.older = binding;
  binding.newer = binding;
  return binding;
}

function unlink(binding: Binding): void {
  binding.older.newer = binding.newer;
  binding.newer.older = binding.older;
}

function bytesOf(number: number, family: 4 | 6): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  if (family === 6) bytes.set(V6_PREFIX);
  new DataView(bytes.buffer).setUint32(bytes.length - 4, family === 4 ? V4_FIRST + number : number);
  return bytes;
}

/** Null outside the synthetic ranges. */
function numberOf(bytes: Uint8Array): number | null {
  const last = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(bytes.length - 4);
  if (bytes.length === 4) {
    const number = last - (V4_FIRST >>> 0);
    return number >= 0 && number < V4_COUNT ? number : null;
  }
  return V6_PREFIX.every((octet, i) => bytes[i] === octet) ? last : null;
}
