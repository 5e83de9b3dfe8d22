/**
 * Where things live, by the XDG base directory specification. A variable that is unset, empty or not
 * absolute does not count (the specification, "Referencing this specification").
 */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

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

export function pathsOf(environment: Environment = process.env, home = homedir()): Paths {
  const folder = (variable: string, fallback: string) => {
    const value = environment[variable];
    return value !== undefined && isAbsolute(value) ? value : fallback;
  };
  const config = join(folder('XDG_CONFIG_HOME', join(home, '.config')), 'clawctl');
  const state = join(folder('XDG_STATE_HOME', join(home, '.local', 'state')), 'clawctl');
  const runtime = join(folder('XDG_RUNTIME_DIR', join(state, 'runtime')), 'clawctl');
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
