/** The only name server of the rig. It answers what a test tells it to, and remembers every question. */

import { isIPv6 } from 'node:net';
import * as packet from 'dns-packet';

export interface NameServer {
  /** Addresses by name, both families mixed. A function is asked anew for every question. */
  names: Map<string, readonly string[] | (() => readonly string[])>;
  /** Of every name that is not among them; null: there is no such name. */
  otherwise: readonly string[] | null;
  /** Lower-case names, in the order in which they were asked. */
  questions: string[];
  close(): void;
}

export async function openNameServer(hostname = '127.0.0.1', port = 53): Promise<NameServer> {
  const names: NameServer['names'] = new Map();
  const questions: string[] = [];
  const server: NameServer = { names, questions, otherwise: null, close: () => socket.close() };
  const socket = await Bun.udpSocket({
    hostname,
    port,
    socket: {
      error() {}, // whoever asked is gone
      data(self, bytes, fromPort, fromAddress) {
        const query = packet.decode(Buffer.from(bytes));
        const question = query.questions?.[0];
        if (question === undefined) return;
        const name = question.name.toLowerCase();
        questions.push(name);
        const entry = names.get(name) ?? server.otherwise ?? undefined;
        const addresses = typeof entry === 'function' ? entry() : entry;
        const wanted = (addresses ?? []).filter((text) => isIPv6(text) === (question.type === 'AAAA'));
        const answers = ['A', 'AAAA'].includes(question.type)
          ? wanted.map((data) => ({ type: question.type as 'A', name: question.name, ttl: 0, data }))
          : [];
        const rcode = addresses === undefined ? 3 : 0;
        const reply = packet.encode({
          type: 'response',
          id: query.id ?? 0,
          flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | rcode,
          questions: [question],
          answers,
        });
        self.send(reply, fromPort, fromAddress);
      },
    },
  });
  return server;
}
