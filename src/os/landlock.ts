/**
 * Landlock (landlock(7)). Its scopes: processes under it reach no abstract UNIX socket, signal no process and trace
 * none that is not under it too. Namespaces already keep these apart; this holds where a process of ours (bwrap's
 * first) shares them. Its rule of files: nothing is opened for writing outside of the folders that are writable. A
 * read-only mount refuses that too, except for a FIFO, through which data would reach a reader outside.
 */
import { closeDescriptor } from './descriptors.ts';
import { ENOENT } from './errno.ts';
import { check, cString, errno, libc, OsError, systemCall } from './libc.ts';

const LANDLOCK_CREATE_RULESET = 444;
const LANDLOCK_ADD_RULE = 445;
const LANDLOCK_RESTRICT_SELF = 446;
const RULE_PATH_BENEATH = 1;
const WRITE_FILE = 1n << 1n;
/** Moving and linking between folders: refused unless it is handled and allowed. */
const REFER = 1n << 13n;
const FIRST_WITH_REFER = 2;
const AT_FDCWD = -100;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const CREATE_RULESET_VERSION = 1;
const SCOPE_ABSTRACT_UNIX_SOCKET = 1n;
const SCOPE_SIGNAL = 2n;
const FIRST_WITH_SCOPES = 6;

/** The kernel's Landlock ABI; 0 where it has none or it is switched off. */
export function landlockAbi(): number {
  try {
    return systemCall('landlock_create_ruleset', LANDLOCK_CREATE_RULESET, 0, 0, CREATE_RULESET_VERSION);
  } catch (error) {
    if (error instanceof OsError) return 0;
    throw error;
  }
}

/**
 * Restricts the calling thread, for good. Only below `writable` may files be opened for writing (and on the terminals
 * that are descriptors 0 to 2). Returns the ABI: below 6 there are no scopes, below 2 nothing is done. Needs
 * no_new_privs. Throws OsError.
 */
export function restrictThread(writable: readonly Uint8Array[]): number {
  const abi = landlockAbi();
  if (abi < FIRST_WITH_REFER) return abi;
  // struct landlock_ruleset_attr: files, network (nothing of it), scopes; older kernels know a shorter one.
  const scopes = abi < FIRST_WITH_SCOPES ? [] : [0n, SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL];
  const attributes = new BigUint64Array([WRITE_FILE | REFER, ...scopes]);
  const ruleset = systemCall(
    'landlock_create_ruleset',
    LANDLOCK_CREATE_RULESET,
    attributes,
    attributes.byteLength,
  );
  allowBelow(ruleset, Buffer.from('/'), REFER);
  for (const path of writable) allowBelow(ruleset, path, WRITE_FILE | REFER);
  for (const fd of [0, 1, 2]) allowDescriptor(ruleset, fd);
  systemCall('landlock_restrict_self', LANDLOCK_RESTRICT_SELF, ruleset, 0);
  closeDescriptor(ruleset);
  return abi;
}

/** A path that is not there allows nothing. */
function allowBelow(ruleset: number, path: Uint8Array, access: bigint): void {
  const fd = libc.openat(AT_FDCWD, cString(path), O_PATH | O_CLOEXEC, 0);
  if (fd < 0 && errno() === ENOENT) return;
  check('openat', fd, `${Buffer.from(path)}`);
  addRule(ruleset, fd, access);
  closeDescriptor(fd);
}

/** So that /dev/stderr can be opened where that is a terminal. Landlock takes no rule for a pipe and needs none. */
function allowDescriptor(ruleset: number, fd: number): void {
  try {
    addRule(ruleset, fd, WRITE_FILE);
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
  }
}

function addRule(ruleset: number, fd: number, access: bigint): void {
  const rule = Buffer.alloc(12); // struct landlock_path_beneath_attr, packed
  rule.writeBigUInt64LE(access, 0);
  rule.writeInt32LE(fd, 8);
  systemCall('landlock_add_rule', LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, rule);
}
