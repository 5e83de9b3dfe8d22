/** What channels need of the person's environment, for a process whose own is bare. */
import { type ChannelConfig, secretsOf } from '../../policy/alerts/channel.ts';
import { COMMAND_VARIABLES } from './command.ts';
import { DESKTOP_VARIABLES } from './desktop.ts';

/** The secrets that channels name as variables, and what commands and the desktop need, become this thread's. */
export function takeVariables(
  environment: Readonly<Record<string, string>>,
  channels: ReadonlyMap<string, ChannelConfig>,
): void {
  const secrets = [...channels.values()].flatMap(secretsOf);
  const named = secrets.flatMap((secret) => ('env' in secret ? [secret.env] : []));
  for (const name of [...named, ...COMMAND_VARIABLES, ...DESKTOP_VARIABLES]) {
    const value = environment[name];
    if (value !== undefined) process.env[name] = value;
  }
}
