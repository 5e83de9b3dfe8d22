/**
 * Speaking netlink: a socket, requests, and an acknowledgement awaited for each that asks for it. A fence whose network is not
 * exactly as asked for is no fence, so every acknowledgement other than success is an error.
 */
import { closeDescriptor, limitReads } from './descriptors.ts';
import { EINTR } from './errno.ts';
import { check, errno, libc, OsError } from './libc.ts';
import {
  type Answer,
  attribute,
  type Datagram,
  decodeAnswers,
  encodeRequests,
  machine32,
  type NamedRequest,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  octets,
} from './netlinkmessage.ts';
import { AF_INET, AF_INET6 } from './socketaddress.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
export const NETLINK_NETFILTER = 12;
const NETLINK_ROUTE = 0;

const RTM_NEWLINK = 16;
const RTM_NEWROUTE = 24;
const LOOPBACK = 1;
const IFF_UP = 1;
const RTA_OIF = 4;
const RT_TABLE_LOCAL = 255;
const RTPROT_BOOT = 3;
const RT_SCOPE_HOST = 254;
const RTN_LOCAL = 2;

/** A socket to one part of the kernel. The caller closes it. Its reads give up after five seconds. */
export function openNetlink(protocol: number): number {
  const fd = check('socket', libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol), 'netlink');
  limitReads(fd, 5_000);
  // Only for better words in errors: kernels without them refuse, and that is no matter.
  libc.setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, new Int32Array([1]), 4);
  libc.setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, new Int32Array([1]), 4);
  return fd;
}

/**
 * Sends requests and waits until each that asked for it is acknowledged. Throws OsError with the first refused
 * request's name and the kernel's own explanation.
 */
export function transact(fd: number, { text, names, acknowledged }: Datagram): void {
  const datagram = Buffer.from(text, 'latin1');
  check('send', libc.send(fd, datagram, datagram.length, 0), 'netlink');
  const awaited = new Set(acknowledged);
  while (awaited.size > 0) {
    for (const answer of receiveAnswers(fd)) {
      if (answer.errno === null) continue;
      const name = names[answer.sequence - 1] ?? 'netlink';
      if (answer.errno !== 0) throw new OsError(name, answer.errno, answer.explanation);
      awaited.delete(answer.sequence);
    }
  }
}

/** The same on a socket of its own. */
export function transactOnce(protocol: number, datagram: Datagram): void {
  const fd = openNetlink(protocol);
  try {
    transact(fd, datagram);
  } finally {
    closeDescriptor(fd);
  }
}

function receiveAnswers(fd: number): Answer[] {
  const buffer = Buffer.alloc(32 * 1024);
  for (;;) {
    const length = libc.recv(fd, buffer, buffer.length, 0);
    if (length >= 0) return decodeAnswers(buffer.subarray(0, Number(length)));
    const failed = errno();
    if (failed !== EINTR) throw new OsError('recv', failed, 'netlink');
  }
}

/** Brings up `lo`, the only interface of a new network namespace. */
export function raiseLoopback(): void {
  const link = machine32(0) + machine32(LOOPBACK) + machine32(IFF_UP) + machine32(IFF_UP); // struct ifinfomsg
  withRoute([{ name: 'RTM_NEWLINK', type: RTM_NEWLINK, flags: NLM_F_REQUEST | NLM_F_ACK, body: link }]);
}

/**
 * Makes every address of a family an address of this host (AnyIP), so that a connection to anywhere is routed to
 * `lo`, where the firewall redirects or refuses it. Without the route it would fail before the firewall sees it.
 */
export function addLocalRoutes(families: readonly (4 | 6)[]): void {
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  const body = (family: 4 | 6) => {
    const [domain, scope] = family === 4 ? [AF_INET, RT_SCOPE_HOST] : [AF_INET6, 0];
    // struct rtmsg; a destination of no bits is every address
    const route = octets(domain, 0, 0, 0, RT_TABLE_LOCAL, RTPROT_BOOT, scope, RTN_LOCAL) + machine32(0);
    return route + attribute(RTA_OIF, machine32(LOOPBACK));
  };
  for (const family of families)
    withRoute([{ name: `RTM_NEWROUTE (IPv${family})`, type: RTM_NEWROUTE, flags, body: body(family) }]);
}

function withRoute(requests: readonly NamedRequest[]): void {
  transactOnce(NETLINK_ROUTE, encodeRequests(requests));
}
