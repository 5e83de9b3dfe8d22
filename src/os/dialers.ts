/**
 * Sockets that were opened inside a fence and are connected from outside it, to loopback in there: a socket stays in
 * the network that it was opened in. They are few and used again and again, since nobody can open more once the fence
 * is closed: `breakOff` makes a socket as new.
 */
import { check, errno, libc } from './libc.ts';
import {
  AF_INET,
  AF_INET6,
  loopbackAddress,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from './socketaddress.ts';

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
  const address = loopbackAddress(family, port);
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
