/** The smallest change to a policy that turns an answer into its opposite, as something a person can type. */
import { type Address, LOOPBACK } from '../names/address.ts';
import { classOf } from '../names/addressclass.ts';
import { hostText, isLocalhost } from '../names/host.ts';
import { mappedRange, parseRange, type Range, rangeText } from '../names/range.ts';
import { knownAddresses } from './answer.ts';
import type { Decision, Rule, Target } from './decision.ts';
import { bracketed, MAPPED_ADDRESS } from './pattern.ts';
import type { Policy } from './policy.ts';
import type { Reason } from './reason.ts';

export interface Change {
  /** A whole shell command, quoted; null where only editing a file (or asking somebody) helps. */
  command: string | null;
  /** Where to edit; null where a command does it, or nothing. `line` is 0 for the file as a whole. */
  edit: { file: string; line: number } | null;
  /** The same for a person to read. */
  text: string;
}

export function changeFor(policy: Policy, target: Target, answer: Decision): Change {
  if (answer.verdict === 'allow') return refuseIt(policy, target, answer);
  const meant = target.host.kind === 'address' ? mappedRange(parseRange(target.host.address.text)!) : null;
  switch (answer.reason) {
    case 'denied':
    case 'address-denied':
      return liftDenial(policy, answer.rule);
    case 'killed':
      return typed(['clawctl', 'egress', 'resume']);
    case 'address-refused':
      if (meant !== null) return noRuleFor(meant);
      return admitAddress(policy, target, answer.rule);
    case 'addresses-mixed':
      return edited(
        policy,
        `under hosts: give ${hostText(target.host)} public addresses, or private ones, not both`,
      );
    case 'no-rule':
    case 'agent':
    case 'port':
    case 'expired':
    case 'special-name':
      if (meant !== null) return noRuleFor(meant);
      return allowIt(policy, target, answer.reason);
    default:
      return told('No rule can change this.');
  }
}

function noRuleFor(meant: Range): Change {
  return told(`No rule can name ${MAPPED_ADDRESS}: ask for ${rangeText(meant)}.`);
}

function allowIt(policy: Policy, target: Target, reason: Reason): Change {
  if (policy.lockedBy !== null && policy.lockedBy !== ownFile(policy))
    return told(`${policy.lockedBy} is locked: ask whoever owns it to allow the host there.`);
  const { host, port, agent } = target;
  const known = knownAddresses(policy, target);
  const isHere = known.length === 0 && host.kind === 'name' && isLocalhost(host.name);
  const leadsTo = isHere ? [LOOPBACK[4], LOOPBACK[6]] : known;
  const hidden = leadsTo.filter((address) => classOf(address) !== 'public');
  if (hidden.length > 0) return edited(policy, `under allow: write ${ruleWith(target, hidden)}`);
  const words = ['clawctl', 'egress', 'add', bracketed(hostText(host))];
  if (port !== 80 && port !== 443) words.push('--port', String(port));
  // A rule for every agent does not reach one that inherits none.
  if (agent !== '' && (reason === 'agent' || policy.agents.get(agent)?.inherit === false))
    words.push('--agent', agent);
  return typed(words);
}

function liftDenial(policy: Policy, rule: Rule | null): Change {
  if (rule?.source.kind !== 'file') return told('Take the denial out.');
  const { file, line } = rule.source;
  const owner = file === ownFile(policy) ? '' : ' (its owner can)';
  return {
    command: null,
    edit: { file, line },
    text: `Take out or narrow the denial of ${rule.host} at ${file}:${line}${owner}.`,
  };
}

function admitAddress(policy: Policy, target: Target, rule: Rule | null): Change {
  const addresses = knownAddresses(policy, target);
  if (rule?.source.kind !== 'file')
    return edited(policy, `under allow: write ${ruleWith(target, addresses)}`);
  const { file, line } = rule.source;
  return {
    command: null,
    edit: { file, line },
    text: `Give the rule at ${file}:${line} ${addressList(addresses)}.`,
  };
}

function ruleWith({ host, port }: Target, addresses: readonly Address[]): string {
  return `- { host: "${bracketed(hostText(host))}", ports: [${port}], ${addressList(addresses)} }`;
}

function addressList(addresses: readonly Address[]): string {
  return `addresses: [${addresses.map((address) => `"${address.text}"`).join(', ')}]`;
}

function refuseIt(policy: Policy, target: Target, { allowedBy }: Decision): Change {
  const text = hostText(target.host);
  const own = ownFile(policy);
  const removable = ({ host, source }: Rule) =>
    host === text && source.kind === 'file' && source.file === own;
  if (allowedBy.length > 0 && allowedBy.every(removable))
    return typed(['clawctl', 'egress', 'remove', bracketed(text)]);
  return edited(policy, `under deny: write - "${text}"`);
}

/** The file that edits go to: the last one, as the machine-wide file comes first. */
function ownFile(policy: Policy): string | null {
  return policy.files.at(-1) ?? null;
}

function edited(policy: Policy, what: string): Change {
  const file = ownFile(policy);
  if (file === null) return told(`In the policy file, ${what}.`);
  return { command: null, edit: { file, line: 0 }, text: `In ${file}, ${what}.` };
}

function typed(words: readonly string[]): Change {
  const command = words.map(shellWord).join(' ');
  return { command, edit: null, text: command };
}

function told(text: string): Change {
  return { command: null, edit: null, text };
}

/** One word of a POSIX shell (Shell Command Language, section 2.2.2). */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
