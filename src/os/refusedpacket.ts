/** Where a packet was going, from its first bytes (RFC 791, RFC 8200). */

export interface Destination {
  /** The transport protocol: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6 … */
  protocol: number;
  /** Four bytes, sixteen, or none where the bytes are no IP packet. */
  address: Uint8Array;
  /** Null where the protocol has none, or it lies beyond the bytes. */
  port: number | null;
}

const WITH_PORTS = new Set([6, 17, 33, 132, 136]); // TCP, UDP, DCCP, SCTP, UDP-Lite
const EXTENSIONS = new Set([0, 43, 60]); // hop-by-hop, routing, destination options
const FRAGMENT = 44;

export function destinationOf(packet: Uint8Array): Destination {
  const version = packet.length === 0 ? 0 : packet[0]! >> 4;
  if (version === 4 && packet.length >= 20) {
    const isLaterFragment = ((packet[6]! & 0x1f) << 8) + packet[7]! > 0;
    const transport = isLaterFragment ? packet.length : (packet[0]! & 0x0f) * 4;
    return destination(packet, packet[9]!, packet.slice(16, 20), transport);
  }
  if (version === 6 && packet.length >= 40) {
    let protocol = packet[6]!;
    let at = 40;
    while ((EXTENSIONS.has(protocol) || protocol === FRAGMENT) && at + 8 <= packet.length) {
      const length = protocol === FRAGMENT ? 8 : (packet[at + 1]! + 1) * 8;
      protocol = packet[at]!;
      at += length;
    }
    return destination(packet, protocol, packet.slice(24, 40), at);
  }
  return { protocol: 0, address: new Uint8Array(0), port: null };
}

function destination(
  packet: Uint8Array,
  protocol: number,
  address: Uint8Array,
  transport: number,
): Destination {
  const hasPort = WITH_PORTS.has(protocol) && transport + 4 <= packet.length;
  const port = hasPort ? (packet[transport + 2]! << 8) + packet[transport + 3]! : null;
  return { protocol, address: new Uint8Array(address), port };
}
