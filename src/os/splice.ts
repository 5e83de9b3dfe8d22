/**
 * Moving bytes between sockets without copying them: splice(2) through a pipe, and epoll(7) to wait for many at
 * once. Loaded by the thread that carries large transfers, and by nobody else.
 */
import { dlopen } from 'bun:ffi';
import { EAGAIN, EINTR } from './errno.ts';
import { check, errno, libc } from './libc.ts';
import { SOL_SOCKET } from './socketaddress.ts';

const { symbols } = dlopen('libc.so.6', {
  splice: { args: ['int', 'ptr', 'int', 'ptr', 'u64', 'u32'], returns: 'i64' },
  epoll_create1: { args: ['int'], returns: 'int' },
  epoll_ctl: { args: ['int', 'int', 'int', 'ptr'], returns: 'int' },
  epoll_wait: { args: ['int', 'ptr', 'int', 'int'], returns: 'int' },
});

const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;
const SO_RCVLOWAT = 18;
const EPOLL_CLOEXEC = 0o2000000;
const CONTROL = { add: 1, remove: 2, change: 3 } as const;
export const READABLE = 0x001;
export const WRITABLE = 0x004;
/** Events taken by one call. */
const MOST_EVENTS = 64;
/** `struct epoll_event` is packed on x86-64 alone (linux/eventpoll.h). */
const SIZE = process.arch === 'x64' ? 12 : 16;
const DATA = process.arch === 'x64' ? 4 : 8;

/** Octets moved, 0 at the end of the stream; `again`: nothing can be moved now; `failed`: the socket is broken. */
export type Spliced = number | 'again' | 'failed';

/** Moves up to `count` octets; one of the two must be a pipe. */
export function splice(from: number, to: number, count: number): Spliced {
  for (;;) {
    const moved = Number(symbols.splice(from, null, to, null, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    if (moved >= 0) return moved;
    const error = errno();
    if (error === EAGAIN) return 'again';
    if (error !== EINTR) return 'failed';
  }
}

/**
 * From how many octets on a poll calls a TCP socket readable (its end always counts); 1 is how sockets begin. The kernel
 * widens the receive buffer to hold twice as many, and leaves it so.
 */
export function readableFrom(fd: number, octets: number): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, new Int32Array([octets]), 4);
}

/** Tells which of many descriptors are ready. Each is known by a small number that the caller chooses. */
export class Poll {
  readonly #fd = check('epoll_create1', symbols.epoll_create1(EPOLL_CLOEXEC));
  readonly #event = new DataView(new ArrayBuffer(SIZE));
  readonly #events = new DataView(new ArrayBuffer(SIZE * MOST_EVENTS));

  add(fd: number, number: number, events: number): void {
    this.#control(CONTROL.add, fd, number, events);
  }

  change(fd: number, number: number, events: number): void {
    this.#control(CONTROL.change, fd, number, events);
  }

  remove(fd: number): void {
    this.#control(CONTROL.remove, fd, 0, 0);
  }

  #control(operation: number, fd: number, number: number, events: number): void {
    this.#event.setUint32(0, events, true);
    this.#event.setUint32(DATA, number, true);
    const event = new Uint8Array(this.#event.buffer);
    check('epoll_ctl', symbols.epoll_ctl(this.#fd, operation, fd, event));
  }

  /** Blocks this thread for up to `milliseconds`; answers the numbers of what is ready. */
  wait(milliseconds: number): number[] {
    const events = new Uint8Array(this.#events.buffer);
    const count = symbols.epoll_wait(this.#fd, events, MOST_EVENTS, milliseconds);
    if (count < 0 && errno() !== EINTR) check('epoll_wait', count);
    const numbers: number[] = [];
    for (let i = 0; i < count; i++) numbers.push(this.#events.getUint32(i * SIZE + DATA, true));
    return numbers;
  }
}
