/** Listeners and sources that are valid and still worth a second look. */
import { classOf } from '../names/addressclass.ts';
import { rangeText } from '../names/range.ts';
import type { PolicyDocument } from './document.ts';
import { type ListenEntry, placeOf } from './listener.ts';

export interface ServiceWarning {
  message: string;
  fix: string;
}

/** Below these prefix lengths a range holds networks of many owners. */
const WIDE_BITS = { 4: 8, 6: 16 } as const;

export function lintService({ listen, agents }: PolicyDocument): ServiceWarning[] {
  const sources = [...agents].flatMap(([agent, { from }]) =>
    from
      .filter(({ bits, first }) => bits < WIDE_BITS[first.family])
      .map((range) => ({
        message: `whoever comes from ${rangeText(range)} is taken for ${agent}`,
        fix: 'Name the network that the agent is in, or give it a token.',
      })),
  );
  return [...listen.flatMap(exposure), ...sources];
}

/** What reaches beyond this machine should keep tokens to itself, and know whom it lets in. */
function exposure(entry: ListenEntry): ServiceWarning[] {
  const { where, agent } = entry;
  if ('path' in where || classOf(where.address) === 'loopback') return [];
  const warnings: ServiceWarning[] = [];
  if (entry.kind === 'proxy' && entry.tls === null && agent === null)
    warnings.push({
      message: `tokens cross the network in the clear to ${placeOf(entry)}`,
      fix: 'Give the listener tls: { certificate: …, key: … }, or trust everybody on the way.',
    });
  if (agent !== null && entry.kind !== 'dns')
    warnings.push({
      message: `whoever reaches ${placeOf(entry)} is taken for ${agent}`,
      fix: 'See that nobody else can, or take agent: out and give it a token.',
    });
  return warnings;
}
