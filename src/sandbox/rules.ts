/**
 * The firewall of every fence. Its rules are always the same octets, and it takes an interpreter longer to put them
 * together than the kernel to apply them; so a build does it once (scripts/build.ts), and from source it is done anew.
 */
import type { Datagram } from '../os/netlinkmessage.ts';
import { encodeRuleset } from '../os/ruleset.ts';

/** Above the range that the kernel gives to outgoing connections, and assigned to nobody. */
export const GATEWAY_PORT = 65_001;
export const DNS_PORT = 65_053;
export const LOG_GROUP = 1;

/** By whether there is IPv6, then by whether refused packets are logged. */
type Rules = Record<'4' | '46', Record<'logged' | 'silent', Datagram>>;

declare const BUILT_RULES: Rules | undefined;

export function fenceRules(families: '4' | '46', logging: 'logged' | 'silent'): Datagram {
  return typeof BUILT_RULES === 'undefined' ? makeRules(families, logging) : BUILT_RULES[families][logging];
}

function makeRules(families: '4' | '46', logging: 'logged' | 'silent'): Datagram {
  return encodeRuleset({
    families: families === '46' ? [4, 6] : [4],
    gatewayPort: GATEWAY_PORT,
    dnsPort: DNS_PORT,
    logGroup: logging === 'logged' ? LOG_GROUP : null,
  });
}

/** For the build. */
export function allRules(): Rules {
  const both = (families: '4' | '46') => ({
    logged: makeRules(families, 'logged'),
    silent: makeRules(families, 'silent'),
  });
  return { '4': both('4'), '46': both('46') };
}
