/** UDP: answering on a socket that somebody else opened, and asking one peer. */

export interface Datagrams {
  close(): void;
}

/**
 * Receives on a bound UDP socket. `reply` sends one datagram back to where these bytes came from; a datagram
 * that the kernel cannot take is lost, as UDP may. Truncated datagrams (over 64 KiB) are dropped.
 */
export async function receiveOn(
  fd: number,
  onDatagram: (bytes: Uint8Array, reply: (answer: Uint8Array) => void) => void,
): Promise<Datagrams> {
  const options: Bun.udp.SocketOptions<'uint8array'> & { fd: number } = {
    fd, // missing from Bun's types
    binaryType: 'uint8array',
    socket: {
      data(self, bytes, port, address, flags) {
        if (flags.truncated) return;
        onDatagram(bytes, (answer) => {
          if (!self.closed) self.send(answer, port, address);
        });
      },
      error() {},
    },
  };
  const socket = await Bun.udpSocket(options);
  return { close: () => socket.close() };
}

export interface Peer extends Datagrams {
  send(bytes: Uint8Array): void;
}

/** A connected UDP socket: the kernel drops datagrams from anybody but this peer. */
export async function connectDatagram(
  address: string,
  port: number,
  onDatagram: (bytes: Uint8Array) => void,
  onError: () => void,
): Promise<Peer> {
  const socket = await Bun.udpSocket({
    binaryType: 'uint8array',
    connect: { hostname: address, port },
    socket: {
      data(_self, bytes) {
        onDatagram(bytes);
      },
      error: onError,
    },
  });
  return {
    send: (bytes) => {
      if (!socket.closed) socket.send(bytes);
    },
    close: () => socket.close(),
  };
}
