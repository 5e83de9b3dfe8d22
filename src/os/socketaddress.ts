/** An address as the kernel takes it (ip(7), ipv6(7)), and the numbers of socket(2) that every socket is made with. */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SOL_IPV6 = 41;
export const SO_REUSEADDR = 2;
export const SO_RCVTIMEO = 20;
export const IPV6_V6ONLY = 26;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

export const LOOPBACK4 = Uint8Array.of(127, 0, 0, 1);
export const LOOPBACK6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** struct sockaddr_in or sockaddr_in6, of 4 or 16 octets in network order. Its family is its first two octets. */
export function socketAddress(bytes: Uint8Array, port: number): Buffer {
  const isIpv4 = bytes.length === 4;
  const address = Buffer.alloc(isIpv4 ? 16 : 28);
  address.writeUInt16LE(isIpv4 ? AF_INET : AF_INET6, 0);
  address.writeUInt16BE(port, 2);
  address.set(bytes, isIpv4 ? 4 : 8);
  return address;
}

export const loopbackAddress = (family: 4 | 6, port: number): Buffer =>
  socketAddress(family === 4 ? LOOPBACK4 : LOOPBACK6, port);

export const familyIn = (address: Buffer): number => address.readUInt16LE(0);
