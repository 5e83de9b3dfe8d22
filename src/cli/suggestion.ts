/** Commands that are suggested to a person. */
import { shellWord } from '../policy/change.ts';

/** The command for the policy that was given in place of the person's own. */
export function suggestedFor(policyFile: string | null | undefined, command: string): string {
  const isAboutPolicy = / egress (add|remove|explain|agents list)( |$)/.test(command);
  return isAboutPolicy && policyFile != null ? `${command} --policy ${shellWord(policyFile)}` : command;
}
