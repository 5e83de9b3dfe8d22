/**
 * What goes wrong for a person, in one table: a code, a sentence, what to do about it and the exit code.
 * Everything that reaches a terminal as an error is one of these; anything else is a bug.
 */

/** Exit codes of every command but `run`. */
export const EXIT = { done: 0, failed: 1, usage: 2, denied: 3, noGateway: 4 } as const;

/** Exit codes of `run` before the command has started. The command's own code is passed on. */
export const RUN_EXIT = { ours: 125, notExecutable: 126, notFound: 127 } as const;

interface Entry {
  /** The exit code. */
  exit: number;
  /** What to do, where the same advice always holds. */
  fix?: string;
}

const TABLE = {
  usage: { exit: EXIT.usage, fix: 'See --help.' },
  'bad-host': { exit: EXIT.usage },
  'bad-port': { exit: EXIT.usage, fix: 'A port is a whole number from 1 to 65535.' },
  'bad-duration': { exit: EXIT.usage, fix: 'Write it as 90s, 30m, 24h or 7d.' },
  'policy-broken': { exit: EXIT.usage },
  'policy-missing': { exit: EXIT.usage },
  'policy-locked': { exit: EXIT.failed, fix: 'Ask whoever owns the machine-wide policy to change it.' },
  'policy-unwritable': { exit: EXIT.failed },
  'tokens-broken': { exit: EXIT.failed },
  'tokens-unwritable': { exit: EXIT.failed },
  'store-unwritable': { exit: EXIT.failed },
  'store-corrupt': { exit: EXIT.failed },
  'not-found': { exit: EXIT.failed },
  'there-already': { exit: EXIT.failed },
  'kill-failed': { exit: EXIT.failed },
  'gateway-runs': { exit: EXIT.failed },
  'gateway-broken': { exit: EXIT.failed },
  'address-taken': { exit: EXIT.failed },
  'no-gateway': { exit: EXIT.noGateway },
  'sandbox-missing': { exit: RUN_EXIT.ours },
  'sandbox-forbidden': { exit: RUN_EXIT.ours },
  'sandbox-broken': { exit: RUN_EXIT.ours },
  'run-refused': { exit: RUN_EXIT.ours },
  'command-not-executable': { exit: RUN_EXIT.notExecutable },
  'command-not-found': { exit: RUN_EXIT.notFound },
} as const satisfies Record<string, Entry>;

export type FailureCode = keyof typeof TABLE;

export class Failure extends Error {
  readonly exit: number;
  readonly fix: string | undefined;
  /** `what` says what happened and where, in a sentence; `fix` what to type or change. */
  constructor(
    readonly code: FailureCode,
    what: string,
    fix?: string,
  ) {
    super(what);
    this.name = 'Failure';
    const entry: Entry = TABLE[code];
    this.exit = entry.exit;
    this.fix = fix ?? entry.fix;
  }
}
