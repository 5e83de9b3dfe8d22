/**
 * The environment of the command: the person's own, without what would lead it around the fence or confuse
 * it, and with the fence's own address. Programs of ours are started with none of it.
 */
import { isWithin } from './folders.ts';

type Environment = Readonly<Record<string, string>>;

/** Where a command inside reads why it was refused. */
const INSIDE_ADDRESS = 'http://clawctl.internal/';
export const FENCE_VARIABLE = 'CLAWCTL_EGRESS';

/** Proxies are not reachable inside, and a program that asks for one would not look up names. */
const PROXY = /^((https?|ftp|all|no|rsync|socks)_proxy|npm_config_(https?_|no)?proxy)$/i;
/** Ways to talk to what runs outside: agents, buses, displays, editors, other tools' daemons. */
const OUTSIDE =
  /^(SSH_(AUTH_SOCK|AGENT_PID|CONNECTION|CLIENT|TTY|ASKPASS)|GPG_AGENT_INFO|GNOME_KEYRING_\w+|DBUS_\w+|DISPLAY|WAYLAND_\w+|XAUTHORITY|ICEAUTHORITY|SESSION_MANAGER|XDG_SESSION_\w+|XDG_SEAT\w*|XDG_VTNR|DESKTOP_STARTUP_ID|AT_SPI_\w+|PULSE_SERVER|PIPEWIRE_\w+|DOCKER_HOST|CONTAINER_HOST|BUILDKIT_HOST|LISTEN_(FDS|PID|FDNAMES)|NOTIFY_SOCKET|INVOCATION_ID|JOURNAL_STREAM|MANAGERPID|TMUX|TMUX_PANE|STY|SUDO_ASKPASS|GIT_ASKPASS|VSCODE_\w+|KITTY_\w+|WEZTERM_UNIX_SOCKET|NVIM|NVIM_LISTEN_ADDRESS|BROWSER|WSL_INTEROP|WSLENV|TERMINATOR_\w+|ALACRITTY_SOCKET)$/;
/** Everything of ours but what the fence itself sets. */
const OURS = /^CLAWCTL_/;
const CREDENTIAL =
  /(^|_)(TOKEN|SECRET|SECRETS|PASSWORD|PASSWD|PASSPHRASE|PASS|CREDENTIALS?|APIKEY|AUTH)(_|$)|(^|_)(API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION|MASTER|ACCOUNT)_?KEY(_|$)|^AWS_SESSION_|(^|_)(DATABASE|REDIS|MONGO\w*|POSTGRES\w*|AMQP)_UR[IL]$/i;
/** Names that only look like it. */
const NO_CREDENTIAL = /(^|_)(FILE|PATH|DIR|HELPER|PROMPT)$|^SSH_AUTH_SOCK$|^GPG_/i;

export interface CommandEnvironment {
  variables: Record<string, string>;
  /** Names, sorted, of variables that were passed on although they look like credentials. */
  credentials: string[];
}

interface Place {
  /** `$XDG_RUNTIME_DIR` inside. */
  runtimeFolder: string;
  /** Folders that are writable inside, for `TMPDIR`. */
  writable: readonly string[];
}

export function commandEnvironment(given: Environment, place: Place): CommandEnvironment {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (PROXY.test(name) || OUTSIDE.test(name) || OURS.test(name)) continue;
    if (/^(TMPDIR|TEMP|TMP)$/.test(name) && !place.writable.some((folder) => isWithin(value, folder)))
      continue;
    variables[name] = value;
  }
  if (given.XDG_RUNTIME_DIR !== undefined) variables.XDG_RUNTIME_DIR = place.runtimeFolder;
  variables[FENCE_VARIABLE] = INSIDE_ADDRESS;
  const credentials = Object.keys(variables)
    .filter((name) => CREDENTIAL.test(name) && !NO_CREDENTIAL.test(name) && variables[name] !== '')
    .sort();
  return { variables, credentials };
}

/** For every program of ours that stands between us and the command: nothing that anybody could have planted. */
export const BARE_ENVIRONMENT: Environment = { PATH: '/usr/bin:/bin', LANG: 'C' };
