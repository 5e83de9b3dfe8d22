/** What the runtime's own sockets do not offer: sockets by descriptor, and options that tell of a redirection. */
import { EADDRNOTAVAIL, EAFNOSUPPORT, ENOTSOCK } from './errno.ts';
import { check, errno, libc, OsError } from './libc.ts';
import {
  AF_UNIX,
  familyIn,
  IPV6_V6ONLY,
  LOOPBACK4,
  LOOPBACK6,
  loopbackAddress,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_IPV6,
  SOL_SOCKET,
  socketAddress,
} from './socketaddress.ts';

const SOL_IP = 0;
const SO_TYPE = 3;
const SO_NETNS_COOKIE = 71;
const SOL_TCP = 6;
const TCP_CONGESTION = 13;
const RENO = Buffer.from('reno');
const SO_ORIGINAL_DST = 80; // linux/netfilter_ipv4.h; the number is the same for IPv6

/**
 * Where a redirected connection was really going, or null where it was not redirected or the kernel has
 * forgotten. `family` is that of the connection: 4 also for an IPv4 one on a socket of both families.
 */
export function originalDestination(fd: number, family: 4 | 6): { address: Uint8Array; port: number } | null {
  const address = Buffer.alloc(28);
  const length = new Uint32Array([address.length]);
  const level = family === 4 ? SOL_IP : SOL_IPV6;
  if (libc.getsockopt(fd, level, SO_ORIGINAL_DST, address, length) !== 0) return null;
  const bytes = family === 4 ? address.subarray(4, 8) : address.subarray(8, 24);
  return { address: new Uint8Array(bytes), port: address.readUInt16BE(2) };
}

/**
 * Breaks a TCP connection off (RST, unless both sides have finished), whoever else holds a descriptor of it. The socket is
 * as new then, and may be connected again (connect(2), AF_UNSPEC, which is 0).
 */
export function breakOff(fd: number): void {
  libc.connect(fd, new Uint8Array(16), 16);
}

/**
 * A number that the network namespace of a socket has to itself as long as the machine runs, or null on kernels
 * before 5.14, which do not tell.
 */
export function networkNamespaceOf(fd: number): bigint | null {
  const cookie = new BigUint64Array(1);
  const length = new Uint32Array([8]);
  if (libc.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, length) !== 0) return null;
  return cookie[0]!;
}

/** Whether a descriptor is a socket; also true of one that does not tell (opened by O_PATH, or not open at all). */
export function mayBeSocket(fd: number): boolean {
  const type = new Int32Array(1);
  return libc.getsockopt(fd, SOL_SOCKET, SO_TYPE, type, new Uint32Array([4])) === 0 || errno() !== ENOTSOCK;
}

/**
 * Whether a descriptor is a socket that was opened in another network namespace than this process is in. Kernels
 * before 5.14 do not tell: there every socket passes for one.
 */
export function isFromOtherNetwork(fd: number): boolean {
  const probe = check('socket', libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const own = networkNamespaceOf(probe);
  libc.close(probe);
  if (own === null)
    return libc.getsockopt(fd, SOL_SOCKET, SO_TYPE, new Int32Array(1), new Uint32Array([4])) === 0;
  const theirs = networkNamespaceOf(fd);
  return theirs !== null && theirs !== own;
}

/** Where to bind: one loopback address, or every address of both families (of IPv4 where there is no IPv6). */
export type Place = 'loopback4' | 'loopback6' | 'any4' | 'any';

const BYTES: Readonly<Record<Place, Uint8Array>> = {
  loopback4: LOOPBACK4,
  loopback6: LOOPBACK6,
  any4: new Uint8Array(4),
  any: new Uint8Array(16),
};

function openBound(place: Place, port: number, type: number): number {
  const address = socketAddress(BYTES[place], port);
  const fd = check('socket', libc.socket(familyIn(address), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), place);
  // Of datagrams a second socket would get what is meant for the first, if both allowed it.
  if (type === SOCK_STREAM)
    check('setsockopt', libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, new Int32Array([1]), 4));
  if (place === 'any')
    check('setsockopt', libc.setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, new Int32Array([0]), 4));
  check('bind', libc.bind(fd, address, address.length), `${place} port ${port}`);
  return fd;
}

/** Whether there is IPv6, on loopback at least: a kernel can lack it, and it can be switched off. */
export function hasIpv6(): boolean {
  try {
    libc.close(openDatagram('loopback6', 0));
    return true;
  } catch (error) {
    const isMissing = error instanceof OsError && [EAFNOSUPPORT, EADDRNOTAVAIL].includes(error.errno);
    if (isMissing) return false;
    throw error;
  }
}

/**
 * A listening TCP socket of a fence, not blocking, closed on exec. A fence's network is loopback, which is never congested, so
 * what is accepted sends by Reno, which every kernel has. BBR, if that is the machine's choice, would hold every segment
 * back by a timer: that halves the rate of a large transfer and doubles what its reader costs.
 */
export function openListener(place: Place, port: number): number {
  const fd = openBound(place, port, SOCK_STREAM);
  // On the listener, because BBR that was chosen first leaves its pacing behind. A refusal costs nothing but speed.
  libc.setsockopt(fd, SOL_TCP, TCP_CONGESTION, RENO, RENO.length);
  const BACKLOG = 4096; // the kernel cuts it to net.core.somaxconn
  check('listen', libc.listen(fd, BACKLOG), `${place} port ${port}`);
  return fd;
}

/** A bound UDP socket, not blocking, closed on exec. */
export function openDatagram(place: Place, port: number): number {
  return openBound(place, port, SOCK_DGRAM);
}

/**
 * Tries to reach a port of loopback, by a TCP connection and by a datagram, and does not wait for an answer.
 * Whether something came is for the other side to say.
 */
export function knockAtPort(family: 4 | 6, port: number): void {
  const address = loopbackAddress(family, port);
  for (const type of [SOCK_STREAM, SOCK_DGRAM]) {
    const fd = libc.socket(familyIn(address), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;
    if (libc.connect(fd, address, address.length) === 0 && type === SOCK_DGRAM)
      libc.send(fd, Buffer.of(0), 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    libc.close(fd);
  }
}

/** Tries to connect to a UNIX stream socket: a path, or an abstract name without its leading NUL. */
export function knockAtUnixSocket(name: Uint8Array, abstract: boolean): void {
  const PATH = 2;
  const address = Buffer.alloc(PATH + name.length + 1); // both forms: a NUL before, or a NUL behind
  address.writeUInt16LE(AF_UNIX, 0);
  address.set(name, abstract ? PATH + 1 : PATH);
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  libc.connect(fd, address, address.length);
  libc.close(fd);
}
