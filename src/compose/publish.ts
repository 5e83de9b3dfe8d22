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
import { beginDial, dialState, familyOf, isAtRest } from '../os/dialers.ts';
import { breakOff } from '../os/sockets.ts';

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
  const free = { 4: [] as number[], 6: [] as number[] };
  for (const fd of dialers) free[familyOf(fd)].push(fd);
  const open = new Set<Socket>();
  let stopped = false;

  const release = async (fd: number): Promise<void> => {
    for (const end = performance.now() + REST_MILLISECONDS; !isAtRest(fd) && performance.now() < end; )
      await Bun.sleep(20);
    breakOff(fd);
    free[familyOf(fd)].push(fd);
  };
  /** A connected socket, or null where nobody listens or all are taken. */
  const dial = async (port: number): Promise<number | null> => {
    for (const family of [4, 6] as const) {
      const fd = stopped ? undefined : free[family].pop();
      if (fd === undefined) continue;
      if (beginDial(fd, family, port)) {
        const end = performance.now() + ATTEMPT_MILLISECONDS;
        while (dialState(fd) === 'waiting' && performance.now() < end) await Bun.sleep(1);
        if (dialState(fd) === 'connected') return fd;
      }
      breakOff(fd);
      free[family].push(fd);
    }
    return null;
  };
  const lead = async (near: Socket, port: number): Promise<void> => {
    open.add(near);
    const fd = await dial(port);
    let broken = true;
    try {
      if (fd === null || stopped || !near.open) {
        near.reset();
        return;
      }
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
      if (fd !== null) {
        if (broken) breakOff(fd);
        void release(fd);
      }
    }
  };

  const listeners: Listener[] = [];
  const close = () => {
    for (const listener of listeners) listener.close();
    for (const near of open) near.reset();
    for (const fd of [...free[4].splice(0), ...free[6].splice(0)]) closeDescriptor(fd);
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
