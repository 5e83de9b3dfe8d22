/**
 * Hearing of packets that the firewall refused (NFLOG, linux/netfilter/nfnetlink_log.h). The socket is opened
 * inside the fence and read outside. The kernel numbers what it reports: what a flood pushed out of the socket's
 * bounded buffer is seen as a gap, so that a count of refusals stays exact.
 */
import { closeDescriptor } from './descriptors.ts';
import { libc } from './libc.ts';
import { NETLINK_NETFILTER, openNetlink, transact } from './netlink.ts';
import {
  attribute,
  attributesOf,
  decodeAnswers,
  encodeRequests,
  NLM_F_ACK,
  NLM_F_REQUEST,
  number16,
  number32,
  type Octets,
  octets,
} from './netlinkmessage.ts';
import { type Destination, destinationOf } from './refusedpacket.ts';
import { MSG_DONTWAIT } from './socketaddress.ts';

const NFULNL_MSG_PACKET = 0x400;
const NFULNL_MSG_CONFIG = 0x401;
const CONFIG = { command: 1, mode: 2, bufferSize: 3, threshold: 5, flags: 6 } as const;
const COMMAND_BIND = 1;
const COPY_PACKET = 2;
const FLAG_SEQUENCE = 1;
const PACKET = { payload: 9, sequence: 12 } as const;
const COPIED_BYTES = 128;
const SOL_NETLINK = 270;
const NETLINK_NO_ENOBUFS = 5;
const MOST_AT_ONCE = 4096;
/** 192.0.0.8 port 9, struct sockaddr_in: the dummy address (RFC 7600) and the port that discards. */
const NOWHERE = Buffer.of(2, 0, 0, 9, 192, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0);

export interface RefusedPacket extends Destination {
  /** How many refused packets before this one were lost on the way here. */
  missed: number;
}

/** A socket that hears of every packet logged to the group in this network namespace. */
export function openRefusalLog(group: number): number {
  const fd = openNetlink(NETLINK_NETFILTER);
  try {
    const requests = [
      configure(group, attribute(CONFIG.command, octets(COMMAND_BIND))),
      configure(group, attribute(CONFIG.mode, octets(0, 0, 0, COPIED_BYTES, COPY_PACKET, 0))),
      // Each packet at once, in no more memory than it needs: the last one before an end is not waited for.
      configure(group, number32(CONFIG.threshold, 1)),
      configure(group, number32(CONFIG.bufferSize, 512)),
      configure(group, number16(CONFIG.flags, FLAG_SEQUENCE)),
    ];
    transact(fd, encodeRequests(requests));
    // Losses are told by the numbers; an error in their place would only hide the next packets.
    libc.setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, new Int32Array([1]), 4);
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
  return fd;
}

function configure(group: number, setting: Octets) {
  const body = octets(0, 0, group >> 8, group & 0xff) + setting; // struct nfgenmsg
  return { name: 'nflog', type: NFULNL_MSG_CONFIG, flags: NLM_F_REQUEST | NLM_F_ACK, body };
}

/** The number of the next packet, by descriptor. */
const expected = new Map<number, number>();

/**
 * What has been refused since the last call, at once and without waiting. Each read gives one packet; the bound is
 * above what the socket holds, so that all that is left at an end is read, and yet a flood costs a bounded time.
 */
export function readRefusals(fd: number): RefusedPacket[] {
  const packets: RefusedPacket[] = [];
  const buffer = Buffer.alloc(4096);
  for (let reads = 0; reads < MOST_AT_ONCE; reads++) {
    const length = Number(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT));
    if (length <= 0) break;
    for (const message of decodeAnswers(buffer.subarray(0, length))) {
      if (message.type !== NFULNL_MSG_PACKET) continue;
      const attributes = attributesOf(message.body.subarray(4));
      const sequence = attributes.get(PACKET.sequence)?.readUInt32BE() ?? 0;
      // Number 0 is the first of a log, whatever log had this descriptor before.
      const missed = sequence === 0 ? 0 : (sequence - (expected.get(fd) ?? 0)) >>> 0;
      expected.set(fd, (sequence + 1) >>> 0);
      packets.push({ ...destinationOf(attributes.get(PACKET.payload) ?? Buffer.alloc(0)), missed });
    }
  }
  return packets;
}

/**
 * The same at the end, when nothing runs in the fence any more. What was lost behind the last packet shows only when
 * another one follows: so one of our own is refused, sent from an IPv4 socket of the fence. It comes last and is
 * left out; `missed` is what it tells.
 */
export function readLastRefusals(fd: number, inside: number): { packets: RefusedPacket[]; missed: number } {
  const packets = readRefusals(fd);
  libc.sendto(inside, Buffer.of(0), 1, MSG_DONTWAIT, NOWHERE, NOWHERE.length);
  packets.push(...readRefusals(fd));
  return { packets: packets.slice(0, -1), missed: packets.at(-1)?.missed ?? 0 };
}
