/** Making, passing and closing file descriptors (unix(7), cmsg(3)). */
import { EAGAIN, EINTR } from './errno.ts';
import { addressOf, check, cString, errno, libc, OsError } from './libc.ts';
import {
  AF_UNIX,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SO_RCVTIMEO,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOL_SOCKET,
} from './socketaddress.ts';

const O_CLOEXEC = 0o2000000;
const SO_PASSCRED = 16;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;
const MFD_CLOEXEC = 1;
const F_SETPIPE_SZ = 1031;
const MSG_PEEK = 0x2;
const MSG_CTRUNC = 0x8;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** No message of ours carries more. The kernel's limit is 253. */
export const MOST_DESCRIPTORS = 16;

export interface ReceivedDescriptors {
  /** They belong to the caller, closed on exec. */
  fds: number[];
  /** Empty at the end of file. */
  payload: Uint8Array;
  /** The sender, as this process's pid namespace numbers it; 0 where the kernel did not say. */
  pid: number;
}

/**
 * Two connected UNIX stream sockets, closed on exec. The kernel tells the reader of the first who sent
 * (SO_PASSCRED). `limit`: milliseconds after which a read from the first gives up with EAGAIN.
 */
export function socketPair(limit = 0): [number, number] {
  const pair = new Int32Array(2);
  check('socketpair', libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  const ours = pair[0]!;
  const theirs = pair[1]!;
  check('setsockopt', libc.setsockopt(ours, SOL_SOCKET, SO_PASSCRED, new Int32Array([1]), 4));
  limitReads(ours, limit);
  return [ours, theirs];
}

/** A read that waits longer than so many milliseconds gives up with EAGAIN; 0: none does. */
export function limitReads(fd: number, limit: number): void {
  const time = new BigInt64Array([BigInt(Math.floor(limit / 1000)), BigInt(limit % 1000) * 1000n]);
  check('setsockopt', libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, time, 16));
}

/** A pipe: the end to read from and the end to write to, closed on exec. */
export function openPipe(): [number, number] {
  const pair = new Int32Array(2);
  check('pipe2', libc.pipe2(pair, O_CLOEXEC));
  return [pair[0]!, pair[1]!];
}

/** Makes room in a pipe for so many octets, or for as many as this user may have. */
export function widenPipe(fd: number, octets: number): void {
  libc.fcntl(fd, F_SETPIPE_SZ, octets);
}

/** Where the parts of a message lie in the one buffer that a sendmsg or recvmsg is given. */
function messageBuffer(controlLength: number, bodyLength: number) {
  const CONTROL = 56 + 16;
  const buffer = Buffer.alloc(CONTROL + controlLength + bodyLength);
  const address = addressOf(buffer);
  const body = CONTROL + controlLength;
  buffer.writeBigUInt64LE(BigInt(address + 56), 16); // msg_iov
  buffer.writeBigUInt64LE(1n, 24); // msg_iovlen
  buffer.writeBigUInt64LE(BigInt(address + CONTROL), 32); // msg_control
  buffer.writeBigUInt64LE(BigInt(controlLength), 40); // msg_controllen
  buffer.writeBigUInt64LE(BigInt(address + body), 56); // iov_base
  buffer.writeBigUInt64LE(BigInt(bodyLength), 64); // iov_len
  return { buffer, control: CONTROL, body };
}

const CMSG_HEAD = 16;
const align8 = (length: number) => (length + 7) & ~7;

/** Sends all of `payload` (at least one byte) and, with its first byte, the descriptors. Blocks. */
export function sendDescriptors(fd: number, fds: readonly number[], payload: Uint8Array): void {
  let sent = 0;
  if (fds.length > 0) {
    const length = CMSG_HEAD + 4 * fds.length;
    const { buffer, control, body } = messageBuffer(align8(length), payload.length);
    buffer.writeBigUInt64LE(BigInt(length), control);
    buffer.writeInt32LE(SOL_SOCKET, control + 8);
    buffer.writeInt32LE(SCM_RIGHTS, control + 12);
    for (const [index, each] of fds.entries()) buffer.writeInt32LE(each, control + CMSG_HEAD + 4 * index);
    buffer.set(payload, body);
    sent = retried('sendmsg', () => libc.sendmsg(fd, buffer, MSG_NOSIGNAL));
  }
  while (sent < payload.length) {
    const rest = payload.subarray(sent);
    sent += retried('send', () => libc.send(fd, rest, rest.length, MSG_NOSIGNAL));
  }
}

/** Waits for bytes (at most `size`) and the descriptors that came with them. */
export function receiveDescriptors(fd: number, size = 4096): ReceivedDescriptors {
  const room = align8(CMSG_HEAD + 4 * MOST_DESCRIPTORS) + align8(CMSG_HEAD + 12);
  const { buffer, control, body } = messageBuffer(room, size);
  const length = retried('recvmsg', () => libc.recvmsg(fd, buffer, MSG_CMSG_CLOEXEC));
  const end = control + Number(buffer.readBigUInt64LE(40));
  const fds: number[] = [];
  let pid = 0;
  for (let at = control; at + CMSG_HEAD <= end; ) {
    const size = Number(buffer.readBigUInt64LE(at));
    if (size < CMSG_HEAD) break;
    const type = buffer.readInt32LE(at + 12);
    if (buffer.readInt32LE(at + 8) === SOL_SOCKET) {
      if (type === SCM_RIGHTS)
        for (let each = CMSG_HEAD; each + 4 <= size; each += 4) fds.push(buffer.readInt32LE(at + each));
      if (type === SCM_CREDENTIALS) pid = buffer.readInt32LE(at + CMSG_HEAD);
    }
    at += align8(size);
  }
  if ((buffer.readInt32LE(48) & MSG_CTRUNC) !== 0) {
    for (const each of fds) closeDescriptor(each);
    throw new Error('more descriptors in one message than expected');
  }
  return { fds, payload: buffer.subarray(body, body + length), pid };
}

/** Whether a socket has something to read now, be it the end of file. */
export function isReadable(fd: number): boolean {
  return peek(fd, MSG_DONTWAIT);
}

/** The same, having waited for it as long as reads may (limitReads). */
export function becomesReadable(fd: number): boolean {
  return peek(fd, 0);
}

function peek(fd: number, flags: number): boolean {
  if (libc.recv(fd, new Uint8Array(1), 1, MSG_PEEK | flags) >= 0) return true;
  return ![EAGAIN, EINTR].includes(errno());
}

/** Waits for exactly that many bytes. An end of file before is an Error. */
export function receiveExactly(fd: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let have = 0; have < size; ) {
    const rest = bytes.subarray(have);
    const read = retried('recv', () => libc.recv(fd, rest, rest.length, 0));
    if (read === 0) throw new Error(`the other side closed after ${have} of ${size} bytes`);
    have += read;
  }
  return bytes;
}

export function closeDescriptor(fd: number): void {
  check('close', libc.close(fd));
}

/** A file without a name that holds these bytes, read from the start by whoever inherits it (memfd_create(2)). */
export function memoryFile(name: string, bytes: Uint8Array): number {
  const fd = check('memfd_create', libc.memfd_create(cString(name), MFD_CLOEXEC));
  check('pwrite', libc.pwrite(fd, bytes, bytes.length, 0));
  return fd;
}

/** Repeats a call that a signal interrupted. */
function retried(call: string, attempt: () => number | bigint): number {
  for (;;) {
    const result = Number(attempt());
    if (result >= 0) return result;
    const failed = errno();
    if (failed !== EINTR) throw new OsError(call, failed, failed === EAGAIN ? 'time limit' : '');
  }
}

const F_DUPFD_CLOEXEC = 1030;

/** Another descriptor of the same, closed on exec. */
export function duplicateDescriptor(fd: number): number {
  return check('fcntl', libc.fcntl(fd, F_DUPFD_CLOEXEC, 3));
}
