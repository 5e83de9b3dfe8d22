/** What a person could type about an incident. A name in it is defanged; our commands take it back. */
import { defanged } from '../../names/defanged.ts';
import { hostText, parseHost } from '../../names/host.ts';
import { isAgentName } from '../../policy/agentname.ts';
import { bracketed } from '../../policy/pattern.ts';
import type { Incident, Transition } from '../incident.ts';

export interface Command {
  purpose: string;
  /** For a shell. Nothing in it needs more quoting than it has. */
  line: string;
}

const HOUR = 3_600_000;
/** Refused for these, adding the host would have let it through. */
const ADDABLE = new Set(['no-rule', 'expired', 'special-name', 'agent']);

export function commandsFor(incident: Incident, transition: Transition): Command[] {
  const agent = agentOption(incident);
  const hours = Math.max(1, Math.ceil(((incident.firedAt ?? incident.since) - incident.since) / HOUR) + 1);
  const commands: Command[] = [
    { purpose: 'To see more', line: `clawctl egress blocked --last ${hours}h${agent}` },
    { purpose: 'To see this alert', line: 'clawctl egress alerts history' },
  ];
  for (const { host: text, reason } of incident.hosts) {
    const parsed = parseHost(text);
    if (parsed === null) continue;
    // As we understood it, not as it was written.
    const host = `'${defanged(bracketed(hostText(parsed)))}'`;
    commands.push({ purpose: 'To see why', line: `clawctl egress explain ${host}${agent}` });
    if (reason !== null && ADDABLE.has(reason))
      commands.push({ purpose: 'To allow it', line: `clawctl egress add ${host}${agent}` });
    break;
  }
  if (transition === 'resolved') return commands;
  commands.push({ purpose: 'To stop it at once', line: `clawctl egress kill${agent}` });
  if (transition === 'firing' && !incident.test)
    commands.push({ purpose: 'To take it on', line: `clawctl egress alerts ack ${incident.id}` });
  commands.push({
    purpose: 'To hear no more of it for a while',
    line: `clawctl egress alerts silence ${incident.rule} --for 2h --reason WHY`,
  });
  return commands;
}

/** An agent whose name a mail program would make a link of is left for the person to fill in. */
function agentOption({ agents, group }: Incident): string {
  const name = agents.length === 1 ? agents[0]! : group.agent;
  if (name === undefined) return '';
  return isAgentName(name) && defanged(name) === name ? ` --agent ${name}` : ' --agent NAME';
}
