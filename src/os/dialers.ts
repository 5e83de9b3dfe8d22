/**
 * Sockets that were opened inside a fence and are connected from outside it, to loopback in there: a socket stays in
 * the network that it was opened in. They are few and used again and again, since nobody can open more once the fence
 * is closed: connecting to AF_UNSPEC makes a socket as new (connect(2)).
 */
import { check, errno, libc } from './libc.ts';

const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SOL_TCP = 6;
const SO_ERROR = 4;
const SO_DOMAIN = 39;
const TCP_INFO = 11;
const EINPROGRESS = 115;
/** enum in linux/net/tcp_states.h. */
const ESTABLISHED = 1;
const SYN_SENT = 2;
const CLOSE = 7;

/** Of one family: a socket of both that has led to one never leads to the other. Closed on exec. */
export function openDialers(count: number, family: 4 | 6): number[] {
  return Array.from({ length: count }, () => {
    const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    return check('socket', libc.socket(family === 4 ? AF_INET : AF_INET6, type, 0));
  });
}

export function familyOf(fd: number): 4 | 6 {
  return optionOf(fd, SOL_SOCKET, SO_DOMAIN) === AF_INET ? 4 : 6;
}

/** Begins to connect to a port of 127.0.0.1 or ::1. False: nobody listens there. */
export function beginDial(fd: number, family: 4 | 6, port: number): boolean {
  const address = Buffer.alloc(family === 4 ? 16 : 28); // struct sockaddr_in, sockaddr_in6
  address.writeUInt16LE(family === 4 ? AF_INET : AF_INET6, 0);
  address.writeUInt16BE(port, 2);
  if (family === 4) address.set([127, 0, 0, 1], 4);
  else address[23] = 1;
  if (libc.connect(fd, address, address.length) === 0) return true;
  return errno() === EINPROGRESS;
}

export function dialState(fd: number): 'connected' | 'waiting' | 'failed' {
  const state = stateOf(fd);
  if (state === SYN_SENT) return 'waiting';
  return state === ESTABLISHED && optionOf(fd, SOL_SOCKET, SO_ERROR) === 0 ? 'connected' : 'failed';
}

/** Whether both sides have finished and everything has arrived. */
export function isAtRest(fd: number): boolean {
  return stateOf(fd) === CLOSE;
}

/** Breaks off what it is connected to (RST, unless both sides have finished) and makes it as new. */
export function renew(fd: number): void {
  const nowhere = Buffer.alloc(16);
  nowhere.writeUInt16LE(AF_UNSPEC, 0);
  libc.connect(fd, nowhere, nowhere.length);
}

function stateOf(fd: number): number {
  const info = new Uint8Array(104);
  check('getsockopt', libc.getsockopt(fd, SOL_TCP, TCP_INFO, info, new Uint32Array([info.length])));
  return info[0]!;
}

function optionOf(fd: number, level: number, option: number): number {
  const value = new Int32Array(1);
  check('getsockopt', libc.getsockopt(fd, level, option, value, new Uint32Array([4])));
  return value[0]!;
}
