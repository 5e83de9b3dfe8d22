/**
 * `run --publish`: a port of ours that leads to a port inside the fence, for commands that are servers themselves. It
 * opens nothing from the inside to the outside: we listen out here and connect in there, to loopback alone.
 */
import { Failure } from '../base/failure.ts';
import { adoptSocket } from '../net/adopt.ts';
import { type Listener, listenAt } from '../net/listen.ts';
import { Relay } from '../net/relay.ts';
import type { Socket, SocketHandler } from '../net/socket.ts';
import { closeDescriptor, duplicateDescriptor } from '../os/descriptors.ts';
import { beginDial, dialState, isAtRest, renew } from '../os/dialers.ts';

export interface Publication {
  host: string;
  port: number;
  /** The port inside. */
  inside: number;
}

export interface Published {
  /** Cuts what is open; nothing new is let in while it is stopped. */
  stop(isStopped: boolean): void;
  close(): void;
}

const ATTEMPT_MILLISECONDS = 5_000;
/** For the last bytes of a finished connection to arrive. */
const REST_MILLISECONDS = 10_000;
const NOTHING: SocketHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/**
 * `dialers`: sockets of the inside; they belong to what is returned. So many connections can be open at once; whoever
 * comes when all are taken is reset. Throws Failure where a port is taken.
 */
export function publish(publications: readonly Publication[], dialers: readonly number[]): Published {
  const free = [...dialers];
  const open = new Set<Socket>();
  let stopped = false;

  const release = async (fd: number): Promise<void> => {
    for (const end = performance.now() + REST_MILLISECONDS; !isAtRest(fd) && performance.now() < end; )
      await Bun.sleep(20);
    renew(fd);
    free.push(fd);
  };
  const dial = async (fd: number, port: number): Promise<boolean> => {
    for (const family of [4, 6] as const) {
      renew(fd);
      if (!beginDial(fd, family, port)) continue;
      const end = performance.now() + ATTEMPT_MILLISECONDS;
      while (dialState(fd) === 'waiting' && performance.now() < end) await Bun.sleep(1);
      if (dialState(fd) === 'connected') return true;
    }
    return false;
  };
  const lead = async (near: Socket, port: number): Promise<void> => {
    const fd = stopped ? undefined : free.pop();
    if (fd === undefined) return near.reset();
    open.add(near);
    let broken = true;
    try {
      if (!(await dial(fd, port)) || stopped || !near.open) return near.reset();
      const ended = Promise.withResolvers<void>();
      const relay = new Relay(near, (ending) => {
        broken = ending === 'reset';
        ended.resolve();
      });
      near.handler = relay;
      relay.join(await adoptSocket(duplicateDescriptor(fd)));
      near.resume();
      await ended.promise;
    } catch {
      near.reset();
    } finally {
      open.delete(near);
      if (broken) renew(fd);
      void release(fd);
    }
  };

  const listeners: Listener[] = [];
  const close = () => {
    for (const listener of listeners) listener.close();
    for (const near of open) near.reset();
    for (const fd of free.splice(0)) closeDescriptor(fd);
  };
  for (const { host, port, inside } of publications) {
    try {
      listeners.push(
        listenAt(host, port, (near) => {
          near.pause();
          queueMicrotask(() => void lead(near, inside));
          return NOTHING;
        }),
      );
    } catch (error) {
      close();
      throw new Failure(
        'address-taken',
        `--publish: ${host}:${port} cannot be listened on (${(error as { code?: string }).code ?? 'failed'}).`,
        'Publish another port, or end what listens there.',
      );
    }
  }
  return {
    stop(isStopped) {
      stopped = isStopped;
      if (stopped) for (const near of open) near.reset();
    },
    close,
  };
}
