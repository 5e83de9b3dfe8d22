/** Serves the stub on sockets that were opened inside the fence, over UDP and TCP alike (RFC 1035, RFC 7766). */
import { receiveOn } from '../net/datagram.ts';
import { type Listener, listenOn } from '../net/listen.ts';
import type { Socket, SocketHandler } from '../net/socket.ts';
import { Conversation } from './conversation.ts';
import type { Stub } from './stub.ts';

export interface StubServer {
  close(): void;
}

interface Limits {
  /** Milliseconds for a whole question to come, or an answer to be taken, before the connection is reset. */
  silence: number;
  connections: number;
}

/** RFC 7766 section 6.2.3 asks for seconds; sections 6.2.2 and 10 for a bound on connections. */
const LIMITS: Limits = { silence: 10_000, connections: 64 };

/** The descriptors belong to the server from now on. */
export async function serveStub(
  stub: Stub,
  listeners: { dnsUdp: readonly number[]; dnsTcp: readonly number[] },
  limits: Limits = LIMITS,
): Promise<StubServer> {
  const open = new Set<Socket>();
  const tcp: Listener[] = listeners.dnsTcp.map((fd) =>
    listenOn(fd, (socket) => {
      if (open.size >= limits.connections) {
        queueMicrotask(() => socket.reset());
        return REFUSING;
      }
      open.add(socket);
      return new Conversation(stub, socket, limits.silence, () => open.delete(socket));
    }),
  );
  const udp = await Promise.all(
    listeners.dnsUdp.map((fd) =>
      receiveOn(fd, (bytes, reply) => {
        const answer = stub.answer(bytes, 'udp');
        if (answer !== null) reply(answer);
      }),
    ),
  );
  return {
    close() {
      for (const server of [...tcp, ...udp]) server.close();
      for (const socket of open) socket.reset();
    },
  };
}

const REFUSING: SocketHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
