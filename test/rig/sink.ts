import { until } from './witness.ts';

/** Where everything arrives that got out of a fence to an address that is nobody's. It must stay empty. */
export interface Sink {
  /** One line an arrival: `tcp`, `udp`, or the first bytes as text. */
  arrivals: string[];
  /** Resolves when no connection stands: what their clients sent before they ended has arrived. */
  idle(): Promise<void>;
  close(): void;
}

export async function openSink(port = 9999): Promise<Sink> {
  const arrivals: string[] = [];
  let standing = 0;
  const tcp = Bun.listen({
    hostname: '::',
    port,
    socket: {
      open() {
        standing++;
        arrivals.push('tcp');
      },
      close: () => void standing--,
      data: (_, bytes) => void arrivals.push(`tcp ${bytes.toString('latin1').slice(0, 200)}`),
    },
  });
  const udp = await Bun.udpSocket({
    hostname: '::',
    port,
    socket: { data: (_, bytes) => void arrivals.push(`udp ${bytes.toString('latin1').slice(0, 200)}`) },
  });
  return {
    arrivals,
    async idle() {
      if (!(await until(() => standing === 0))) throw new Error('a connection to the sink does not end');
    },
    close() {
      tcp.stop(true);
      udp.close();
    },
  };
}
