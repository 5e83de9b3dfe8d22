/** What channels need of the person's environment. The process that delivers may have a bare one. */
import { type ChannelConfig, secretsOf } from '../../policy/alerts/channel.ts';

/** What a command may need to find its own settings, and no more. */
export const COMMAND_VARIABLES = ['HOME', 'USER', 'LOGNAME', 'LANG', 'TZ'] as const;
/** By which `notify-send` finds the desktop. */
export const DESKTOP_VARIABLES = [
  'DBUS_SESSION_BUS_ADDRESS',
  'XDG_RUNTIME_DIR',
  'DISPLAY',
  'WAYLAND_DISPLAY',
] as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** Those of them that are there. */
export function variablesNamed(
  names: readonly string[],
  environment: Environment = process.env,
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
}

/** The secrets that channels name as variables, and what commands and the desktop need, become this thread's. */
export function takeVariables(environment: Environment, channels: ReadonlyMap<string, ChannelConfig>): void {
  const secrets = [...channels.values()].flatMap(secretsOf);
  const named = secrets.flatMap((secret) => ('env' in secret ? [secret.env] : []));
  const wanted = [...named, ...COMMAND_VARIABLES, ...DESKTOP_VARIABLES];
  Object.assign(process.env, variablesNamed(wanted, environment));
}
