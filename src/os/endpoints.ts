/** Sockets that a service listens on: any address, several of one address, and UNIX sockets with their peers. */
import { limitReads } from './descriptors.ts';
import { EADDRINUSE, EAGAIN, ECONNREFUSED, ENOENT } from './errno.ts';
import { check, cString, errno, libc, OsError, systemCall } from './libc.ts';
import {
  AF_INET6,
  AF_UNIX,
  familyIn,
  IPV6_V6ONLY,
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
import { numberHere } from './syscalls.ts';

const SO_REUSEPORT = 15;
const SO_PEERCRED = 17;
const MFD_CLOEXEC = 1;
/** The kernel cuts it to net.core.somaxconn. */
const BACKLOG = 4096;
const UNIX_PATH = 2;
const LONGEST_PATH = 107;

/** 4 or 16 octets in network order, and a port; 0 lets the kernel choose. */
export interface EndpointBytes {
  bytes: Uint8Array;
  port: number;
}

const on = new Int32Array([1]);

/** `shared`: others of this user may be bound to the same (SO_REUSEPORT), and connections are spread over them. */
function openBound(endpoint: EndpointBytes, type: number, shared: boolean): number {
  const address = socketAddress(endpoint.bytes, endpoint.port);
  const family = familyIn(address);
  const fd = check('socket', libc.socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  try {
    // Of UDP sockets it would let another take the datagrams.
    if (type === SOCK_STREAM) check('setsockopt', libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on, 4));
    if (shared) check('setsockopt', libc.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, on, 4));
    if (family === AF_INET6) check('setsockopt', libc.setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, on, 4));
    check('bind', libc.bind(fd, address, address.length));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/**
 * `count` sockets that listen on one address, not blocking, closed on exec. Throws OsError, EADDRINUSE also where
 * somebody else of this user shares the address: connections would go astray.
 */
export function openSharedListeners(endpoint: EndpointBytes, count: number): number[] {
  const fds: number[] = [];
  try {
    let { port } = endpoint;
    const probe = openBound(endpoint, SOCK_STREAM, false);
    if (port === 0) port = portOf(probe);
    libc.close(probe);
    for (let each = 0; each < count; each++) fds.push(openAnotherListener({ ...endpoint, port }));
    return fds;
  } catch (error) {
    for (const fd of fds) libc.close(fd);
    throw error;
  }
}

/** One more on an address that is shared already. */
export function openAnotherListener(endpoint: EndpointBytes): number {
  const fd = openBound(endpoint, SOCK_STREAM, true);
  check('listen', libc.listen(fd, BACKLOG));
  return fd;
}

/** A UDP socket, and one that listens for TCP on the same port. */
export function openDnsSockets(endpoint: EndpointBytes, attempts = 16): [udp: number, tcp: number] {
  const udp = openBound(endpoint, SOCK_DGRAM, false);
  try {
    const tcp = openBound({ ...endpoint, port: portOf(udp) }, SOCK_STREAM, false);
    check('listen', libc.listen(tcp, BACKLOG));
    return [udp, tcp];
  } catch (error) {
    libc.close(udp);
    // A port that is free for the one may be taken for the other.
    if (endpoint.port === 0 && attempts > 1 && isTaken(error)) return openDnsSockets(endpoint, attempts - 1);
    throw error;
  }
}

/** The port that a socket is bound to. */
export function portOf(fd: number): number {
  const address = Buffer.alloc(28);
  systemCall('getsockname', numberHere('getsockname'), fd, address, new Uint32Array([address.length]));
  return address.readUInt16BE(2);
}

function unixAddress(path: string): Buffer {
  const bytes = Buffer.from(path);
  if (bytes.length > LONGEST_PATH) throw new OsError('bind', 36, path); // ENAMETOOLONG
  const address = Buffer.alloc(UNIX_PATH + bytes.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  address.set(bytes, UNIX_PATH);
  cString(bytes); // throws for a NUL
  return address;
}

/** Listens at a path where nothing is. `blocking` of what is accepted is for the caller to choose. Throws OsError. */
export function openUnixListener(path: string): number {
  const fd = check('socket', libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  try {
    const address = unixAddress(path);
    check('bind', libc.bind(fd, address, address.length), path);
    check('listen', libc.listen(fd, BACKLOG), path);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/**
 * Connects to a UNIX stream socket; reading from it gives up with EAGAIN after `limit` milliseconds. Null where nobody
 * listens there. Throws OsError.
 */
export function connectUnix(path: string, limit: number): number | null {
  const fd = check('socket', libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const address = unixAddress(path);
  if (libc.connect(fd, address, address.length) === 0) {
    limitReads(fd, limit);
    return fd;
  }
  const failed = errno();
  libc.close(fd);
  if (failed === ECONNREFUSED || failed === ENOENT) return null;
  throw new OsError('connect', failed, path);
}

/** Whoever has connected, blocking, with a limit for reads in milliseconds; null where nobody has. */
export function acceptUnix(listener: number, limit: number): number | null {
  try {
    const none = 0;
    const fd = systemCall('accept4', numberHere('accept4'), listener, none, none, SOCK_CLOEXEC);
    limitReads(fd, limit);
    return fd;
  } catch (error) {
    if (error instanceof OsError && error.errno === EAGAIN) return null;
    throw error;
  }
}

/** The process and the user at the other end of a UNIX socket, when it connected (unix(7)). */
export function peerOf(fd: number): { pid: number; uid: number } {
  const credentials = new Int32Array(3);
  check('getsockopt', libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, new Uint32Array([12])));
  return { pid: credentials[0]!, uid: credentials[1]! };
}

/** Sends one datagram to a UNIX socket, `@name` for an abstract one; says nothing if nobody takes it. */
export function sendToUnix(path: string, text: string): void {
  const address = unixAddress(path);
  if (path.startsWith('@')) address[UNIX_PATH] = 0;
  const length = path.startsWith('@') ? address.length - 1 : address.length;
  const fd = check('socket', libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const bytes = Buffer.from(text);
  libc.sendto(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, length);
  libc.close(fd);
}

/** Memory that processes share by passing its descriptor on, all zero (memfd_create(2)). */
export function openSharedMemory(name: string, size: number): number {
  const fd = check('memfd_create', libc.memfd_create(cString(name), MFD_CLOEXEC));
  systemCall('ftruncate', numberHere('ftruncate'), fd, size);
  return fd;
}

export const isTaken = (error: unknown) => error instanceof OsError && error.errno === EADDRINUSE;
