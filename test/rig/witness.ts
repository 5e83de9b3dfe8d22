/** An origin that remembers every octet it was sent, connection by connection, and answers as a test says. */
import type { Socket } from 'bun';

export interface Visit {
  received: Buffer;
  /** `reset` where the peer broke off, null while it is open. */
  ended: 'closed' | 'reset' | null;
  send(bytes: Uint8Array | string): void;
}

export interface Witness {
  visits: Visit[];
  /** All that was received, over all connections. */
  heard(): string;
  forget(): void;
  close(): void;
}

/** `answer` is called with the connection after each piece that arrives; what it returns is sent. */
export function openWitness(
  hostname: string,
  port: number,
  answer: (visit: Visit) => Uint8Array | string | undefined = () => undefined,
): Witness {
  const visits: Visit[] = [];
  const listener = Bun.listen<Visit>({
    hostname,
    port,
    socket: {
      open(socket: Socket<Visit>) {
        const send = (bytes: Uint8Array | string) => void socket.write(bytes);
        socket.data = { received: Buffer.alloc(0), ended: null, send };
        visits.push(socket.data);
      },
      data(socket, bytes) {
        socket.data.received = Buffer.concat([socket.data.received, bytes]);
        const reply = answer(socket.data);
        if (reply !== undefined) socket.write(reply);
      },
      close(socket, error) {
        socket.data.ended = error === undefined || error === null ? 'closed' : 'reset';
      },
      error() {},
    },
  });
  return {
    visits,
    heard: () => visits.map((visit) => visit.received.toString('latin1')).join(''),
    forget: () => void visits.splice(0),
    close: () => listener.stop(true),
  };
}

/** Waits until `holds`, for at most so many milliseconds; says whether it came about. */
export async function until(holds: () => boolean | Promise<boolean>, milliseconds = 5_000): Promise<boolean> {
  for (const end = performance.now() + milliseconds; performance.now() < end; ) {
    if (await holds()) return true;
    await Bun.sleep(10);
  }
  return holds();
}
