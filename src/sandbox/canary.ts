/**
 * Listeners on our own loopback that nobody knows of but the inside, which must try to reach them and fail. If one
 * is visited, the fence's network is not its own.
 */
import type { Listener } from '../net/listen.ts';
import { listenAt } from '../net/listen.ts';
import { closeDescriptor, isReadable } from '../os/descriptors.ts';
import { openDatagram } from '../os/sockets.ts';
import type { Canary } from './handshake.ts';

export interface Canaries {
  /** For the plan. */
  list: Canary[];
  /** Whether one has been visited; lets what is on its way arrive first. */
  visited(): Promise<boolean>;
  close(): void;
}

export function openCanaries(): Canaries {
  let visits = 0;
  const listeners: Listener[] = [];
  const datagrams: number[] = [];
  const list: Canary[] = [];
  for (const family of [4, 6] as const) {
    try {
      const listener = listenAt(family === 4 ? '127.0.0.1' : '::1', 0, (socket) => {
        visits++;
        socket.reset();
        return socket.handler;
      });
      listeners.push(listener);
      datagrams.push(openDatagram(family === 4 ? 'loopback4' : 'loopback6', listener.port));
      list.push({ kind: 'loopback', family, port: listener.port });
    } catch (error) {
      if (family === 4) throw error; // no IPv6 here is no reason
    }
  }
  return {
    list,
    async visited() {
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
      return visits > 0 || datagrams.some(isReadable);
    },
    close() {
      for (const listener of listeners) listener.close();
      for (const fd of datagrams.splice(0)) closeDescriptor(fd);
    },
  };
}
