/**
 * What the two sides of a starting fence tell each other over one UNIX stream socket, which the inside has as
 * descriptor 3. In this order:
 *
 *   inside  → outside  `network`  the fence's network stands; with it the descriptors named in `sockets`
 *   outside → inside   `plan`     what to mount and what to run (may be sent at any time before)
 *   inside  → outside  `dialers`  only where the plan asks for some: sockets for the outside to connect in here with
 *   inside  → outside  `locked`   mounted, every privilege dropped, canaries tried; nothing can be regained now
 *   outside → inside   `go`       after the outside has looked for itself
 *   end of file                   the command has been executed (the socket closes by execve)
 *
 * At any point the inside may send `failed` instead; it then exits with `exit`. An end of file before `go`
 * without a `failed` means that bwrap or the inside died.
 *
 * A frame is four bytes of length (big endian) and JSON. Paths, arguments and environment entries are bytes to
 * the kernel, not text: they travel as strings with one character per byte (`bytesToText`, `textToBytes`), so
 * what `readFileSync('/proc/self/environ', 'latin1')` gives can be passed on unharmed.
 */
import { receiveDescriptors, receiveExactly, sendDescriptors } from '../os/descriptors.ts';

/** One character (U+0000 to U+00FF) per byte. */
export type ByteText = string;

export const CHANNEL = 3;

/** Capabilities the inside needs in its user namespace until it locks down: `--cap-add` for bwrap. */
export const NEEDED_CAPABILITIES = [
  'CAP_NET_ADMIN', // lo, routes, firewall
  'CAP_SETPCAP', // to empty the bounding set
  'CAP_SYS_ADMIN', // to mount the layers
  'CAP_DAC_OVERRIDE', // overlayfs makes its work folder with mode 000
] as const;

/** Done by the inside in the order given, after bwrap's own mounts. Every path is absolute. */
export type Mount =
  /**
   * A copy-on-write view of `lower` at `target` (they may be the same). `upper` and `work` are folders under
   * one writable mount. Where their file system cannot hold a layer (EINVAL), a tmpfs of `memory` bytes is
   * mounted on `spare` (an existing folder) and holds it; `locked.layers` tells. `spare: null` makes that fatal.
   */
  | {
      kind: 'overlay';
      lower: ByteText;
      upper: ByteText;
      work: ByteText;
      target: ByteText;
      spare: ByteText | null;
      memory: number;
    }
  /** Moves a mount that bwrap made (a staging place) to where a layer has covered it. */
  | { kind: 'move'; source: ByteText; target: ByteText }
  /**
   * Covers a folder with an empty read-only one, anything else with /dev/null. Symbolic links are
   * followed. Where there is nothing, or nothing that the command could reach, nothing is done.
   */
  | { kind: 'hide'; target: ByteText }
  /** Makes a folder or a file read-only, for everybody in the fence. Where there is nothing, nothing is done. */
  | { kind: 'protect'; target: ByteText }
  /** Puts a read-only file of the fence's own, written to `source`, in a file's place, which is made if need be. */
  | { kind: 'file'; source: ByteText; target: ByteText; content: ByteText }
  /** A set of pseudo-terminals of the fence's own (devpts), on a folder. */
  | { kind: 'terminals'; target: ByteText }
  /** Takes a staging mount out of sight. The layers that use it keep it. */
  | { kind: 'detach'; target: ByteText };

/** Something the outside opened and nobody else knows. The inside must fail to reach it. */
export type Canary =
  /** TCP and UDP on this port of 127.0.0.1, or of ::1 (`family: 6`). */
  | { kind: 'loopback'; family: 4 | 6; port: number }
  /** A UNIX stream socket: a path, or an abstract name where `abstract`. */
  | { kind: 'unix'; name: ByteText; abstract: boolean };

export interface Plan {
  /** Looked up in PATH of `environment` as execvp(3) does, unless it holds a slash. */
  command: ByteText[];
  /** `NAME=value`: the whole environment of the command. */
  environment: ByteText[];
  /** Where the command starts. */
  cwd: ByteText;
  mounts: Mount[];
  /** Folders below which files may be opened for writing, FIFOs and devices too. */
  writable: ByteText[];
  /** The command's system call filter (`struct sock_filter[]`). */
  filter: ByteText;
  /** The descriptor (0, 1 or 2) of the terminal whose foreground the command's process group takes, or null. */
  terminal: 0 | 1 | 2 | null;
  /** Signals the person had set to be ignored (as `nohup` does); all others are reset to their default. */
  ignoredSignals: number[];
  /** The person's own soft limit of open files (the runtime raises it for itself), or null to leave it. */
  openFiles: number | null;
  canaries: Canary[];
  /** How many sockets of each family the outside wants of the inside's network, to connect to servers of the command. */
  dialers: number;
}

/** `refusals` is an NFLOG socket; it is missing where the kernel cannot log. The `6` ones need IPv6. */
export type FenceSocket = 'tcp' | 'dnsUdp4' | 'dnsUdp6' | 'dnsTcp4' | 'dnsTcp6' | 'refusals';

export interface NetworkReport {
  kind: 'network';
  /** One for each descriptor that came with the report, in its order. */
  sockets: FenceSocket[];
  /** False: this kernel has no IPv6, the fence is one of IPv4 alone. */
  ipv6: boolean;
  /** False: this kernel cannot log; packets are refused all the same, but not seen. */
  refusalLog: boolean;
}

/** With some of the sockets that the plan asks for; as many of these as it takes. */
export interface DialersReport {
  kind: 'dialers';
  isLast: boolean;
}

export interface LockedReport {
  kind: 'locked';
  /** For every overlay of the plan, in order: whether changes are kept or live in memory until the end. */
  layers: ('kept' | 'memory')[];
  /** Landlock's ABI, 0 where the kernel has none. Scoping needs 6. */
  landlock: number;
}

export type Step =
  | 'descriptors'
  | 'loopback'
  | 'routes'
  | 'firewall'
  | 'listeners'
  | 'plan'
  | 'mount'
  | 'cwd'
  | 'lockdown'
  | 'canary'
  | 'execute';

export interface FailureReport {
  kind: 'failed';
  step: Step;
  /** The system call or netlink message that was refused, '' where none was. */
  call: string;
  /** Such as `EPERM`; '' where no system call failed. */
  errno: string;
  /** What was being done, for a person. No bytes of the plan other than paths. */
  detail: string;
  /** What the inside exits with: 125, or for `execute` 126 and 127 as a shell would. */
  exit: number;
}

export type InsideMessage = NetworkReport | DialersReport | LockedReport | FailureReport;
export type OutsideMessage = { kind: 'plan'; plan: Plan } | { kind: 'go' };

export interface Received<T> {
  message: T;
  descriptors: number[];
  /** The sender's process id as the receiver's pid namespace numbers it; 0 if it did not ask to be told. */
  pid: number;
}

/** The kernel's limit of arguments and environment is 6 MiB; JSON may double and escape them. */
const LONGEST = 32 * 1024 * 1024;

/** Blocks while the other side does not read. Throws OsError (EPIPE: the other side is gone). */
export function sendMessage(
  channel: number,
  message: InsideMessage | OutsideMessage,
  descriptors: readonly number[] = [],
): void {
  const body = Buffer.from(JSON.stringify(message));
  const frame = Buffer.alloc(4 + body.length);
  frame.writeUInt32BE(body.length);
  frame.set(body, 4);
  sendDescriptors(channel, descriptors, frame);
}

/**
 * The next message, or null at the end of file. Blocks until it is here, at most as long as the socket's
 * receive time limit. Throws OsError (EAGAIN: time limit), or Error for a frame that is none.
 */
export function receiveMessage<T extends InsideMessage | OutsideMessage>(
  channel: number,
): Received<T> | null {
  const { fds, payload, pid } = receiveDescriptors(channel, 4);
  if (payload.length === 0) return null;
  const head = Buffer.alloc(4);
  head.set(payload);
  head.set(receiveExactly(channel, 4 - payload.length), payload.length);
  const length = head.readUInt32BE();
  if (length > LONGEST) throw new Error(`a message of ${length} bytes on the fence's channel`);
  const body = receiveExactly(channel, length);
  return { message: JSON.parse(new TextDecoder().decode(body)) as T, descriptors: fds, pid };
}

export function textToBytes(text: ByteText): Buffer {
  return Buffer.from(text, 'latin1');
}

/** From ordinary text (UTF-16) or from bytes. */
export function bytesToText(bytes: Uint8Array | string): ByteText {
  return Buffer.from(bytes as string).toString('latin1');
}
