/** For tests: a name server on loopback, UDP and TCP on one port, that answers as it is told. */
import { createSocket } from 'node:dgram';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type Answer, type DecodedPacket, decode, encode, type Packet } from 'dns-packet';

export interface Asking {
  /** In lower case; `sent` as it came. */
  name: string;
  sent: string;
  type: string;
  id: number;
  transport: 'udp' | 'tcp';
  clientPort: number;
}

/** Messages to send back, in order; none to stay silent. A packet is filled up into an honest answer. */
export type Script = (asking: Asking) => ReadonlyArray<Uint8Array | Partial<Packet>>;

export interface NameServer {
  port: number;
  asked: Asking[];
  close(): void;
}

export const honest = (asking: Asking, packet: Partial<Packet> = {}): Packet => ({
  type: 'response',
  id: asking.id,
  questions: [{ name: asking.sent, type: asking.type as 'A' }],
  ...packet,
});

/** Answers from a table of `A` and `AAAA` data by name; other names do not exist. */
export const fromTable =
  (table: Record<string, { A?: string[]; AAAA?: string[]; ttl?: number }>): Script =>
  ({ name, type }) => {
    const entry = table[name];
    if (entry === undefined) return [{ flags: 3 }];
    const texts = (type === 'A' ? entry.A : entry.AAAA) ?? [];
    const answers = texts.map((data) => ({ name, type: type as 'A', data, ttl: entry.ttl ?? 60 }));
    return [{ answers: answers as Answer[] }];
  };

export async function startNameServer(script: Script): Promise<NameServer> {
  const asked: Asking[] = [];
  const answersTo = (bytes: Buffer, transport: Asking['transport'], clientPort: number) => {
    const packet = decode(bytes) as DecodedPacket & { id: number };
    const { name: sent, type } = packet.questions![0]!;
    const asking = { name: sent.toLowerCase(), sent, type, id: packet.id, transport, clientPort };
    asked.push(asking);
    return script(asking).map((reply) =>
      reply instanceof Uint8Array ? reply : encode(honest(asking, reply)),
    );
  };
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    sockets.add(socket);
    let bytes = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (part: Buffer) => {
      bytes = Buffer.concat([bytes, part]);
      if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) return;
      const replies = answersTo(bytes.subarray(2), 'tcp', socket.remotePort!);
      if (replies.length === 0) socket.end();
      for (const reply of replies)
        socket.write(Buffer.concat([Buffer.of(reply.length >> 8, reply.length & 255), reply]));
    });
  });
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket('udp4');
  await new Promise<void>((resolve) => udp.bind(port, '127.0.0.1', resolve));
  udp.on('message', (bytes, { port: clientPort }) => {
    for (const reply of answersTo(bytes, 'udp', clientPort)) udp.send(reply, clientPort, '127.0.0.1');
  });
  return {
    port,
    asked,
    close() {
      udp.close();
      tcp.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
