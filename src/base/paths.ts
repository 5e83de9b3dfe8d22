/**
 * Where things live, by the XDG base directory specification. A variable that is unset, empty or not
 * absolute does not count (the specification, "Referencing this specification").
 */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { Failure } from './failure.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Paths {
  /** The person's own policy file. */
  policy: string;
  /** The machine-wide policy, which comes first and cannot be undone below. */
  machinePolicy: string;
  /** Folder of our configuration: `$XDG_CONFIG_HOME/clawctl`. */
  config: string;
  /** Folder of what we remember (store, keys, home layers): `$XDG_STATE_HOME/clawctl`. */
  state: string;
  /** Folder of what lives as long as the login: `$XDG_RUNTIME_DIR/clawctl`, or below state without one. */
  runtime: string;
  /** The store of events. */
  store: string;
  /** What alerts remember: incidents, silences and messages that wait. */
  alerts: string;
  /** Digests of the tokens by which agents prove who they are. */
  tokens: string;
  /** The kill switch's file. Present means killed. */
  kill: string;
  /** The same for every user of the machine. */
  machineKill: string;
}

/** Throws a Failure where a variable does not count and there is no home to begin from. */
export function pathsOf(environment: Environment = process.env, home?: string): Paths {
  const folder = (variable: string, fallback: () => string) => {
    const value = environment[variable];
    return join(value !== undefined && isAbsolute(value) ? value : fallback(), 'clawctl');
  };
  const config = folder('XDG_CONFIG_HOME', () => join(home ?? ownHome(), '.config'));
  const state = folder('XDG_STATE_HOME', () => join(home ?? ownHome(), '.local', 'state'));
  const runtime = folder('XDG_RUNTIME_DIR', () => join(state, 'runtime'));
  return {
    config,
    state,
    runtime,
    policy: join(config, 'egress.yaml'),
    machinePolicy: '/etc/clawctl/egress.yaml',
    tokens: join(config, 'agents.json'),
    store: join(state, 'egress.db'),
    alerts: join(state, 'alerts.db'),
    kill: join(state, 'egress.kill'),
    machineKill: '/etc/clawctl/egress.kill',
  };
}

/** A container may run us as a user that nobody has written down. */
function ownHome(): string {
  let home = '';
  try {
    home = homedir();
  } catch {
    // there is none
  }
  if (isAbsolute(home)) return home;
  throw new Failure(
    'usage',
    'This user has no home, so nobody knows where the policy and the records are.',
    'Set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME, to whole paths.',
  );
}
