/**
 * Landlock scoping (landlock(7)): processes under it reach no abstract UNIX socket, signal no process and trace
 * none that is not under it too. Namespaces already keep these apart; this holds where a process of ours (bwrap's
 * first) shares them.
 */
import { closeDescriptor } from './descriptors.ts';
import { OsError, systemCall } from './libc.ts';

const LANDLOCK_CREATE_RULESET = 444;
const LANDLOCK_RESTRICT_SELF = 446;
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

/** Scopes the calling thread, for good. Returns the ABI; below 6 nothing is done. Needs no_new_privs. */
export function scopeThread(): number {
  const abi = landlockAbi();
  if (abi < FIRST_WITH_SCOPES) return abi;
  // struct landlock_ruleset_attr: no file and no network accesses handled (so none is refused), and the scopes.
  const attributes = new BigUint64Array([0n, 0n, SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL]);
  const ruleset = systemCall(
    'landlock_create_ruleset',
    LANDLOCK_CREATE_RULESET,
    attributes,
    attributes.byteLength,
  );
  systemCall('landlock_restrict_self', LANDLOCK_RESTRICT_SELF, ruleset, 0);
  closeDescriptor(ruleset);
  return abi;
}
