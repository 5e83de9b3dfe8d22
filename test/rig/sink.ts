/** Where everything arrives that got out of a fence to an address that is nobody's. It must stay empty. */
export interface Sink {
  /** One line an arrival: `tcp`, `udp`, or the first bytes as text. */
  arrivals: string[];
  close(): void;
}

export async function openSink(port = 9999): Promise<Sink> {
  const arrivals: string[] = [];
  const tcp = Bun.listen({
    hostname: '::',
    port,
    socket: {
      open: () => void arrivals.push('tcp'),
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
    close() {
      tcp.stop(true);
      udp.close();
    },
  };
}
