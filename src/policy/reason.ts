/**
 * Why a connection was allowed or refused: one closed table for all five hops. Codes are public (they are
 * in JSON, in `X-Clawctl-Reason` and in the store), so they are only ever added.
 */
export const REASONS = {
  // hop 1: accept
  'not-proxy': 'this port speaks HTTP and SOCKS5, as a proxy',
  'proxy-protocol': 'the PROXY protocol header is missing, malformed or not trusted',
  'socks-malformed': 'the SOCKS5 request is malformed',
  'socks-command': 'of the commands of SOCKS5 there is only CONNECT',
  'head-late': 'the request was not complete in time',
  'head-too-large': 'the head of the HTTP request is too large',
  // hop 1: accept
  'credentials-missing': 'the proxy cannot tell which agent this is',
  'credentials-wrong': 'the name or the token of the agent is wrong',
  'agent-removed': 'the agent was removed, or its token was changed',
  // hop 2: target
  'malformed-host': 'the host is not a valid name or address',
  'address-spelling': 'the host is an address, spelled in another way than its own',
  'malformed-port': 'the port is not a number from 1 to 65535',
  'unknown-target': 'the original destination could not be read',
  protocol: 'only TCP leaves the fence',
  // hop 3: decide
  rule: 'a rule allows it',
  observed: 'observe mode lets it through; enforce mode would refuse it',
  killed: 'the kill switch is on',
  denied: 'a deny rule refuses it',
  'no-rule': 'no rule allows this host',
  port: 'a rule allows this host, but not this port',
  agent: 'a rule allows this host, but for other agents only',
  expired: 'the rule that allowed this host has expired',
  'special-name': 'names that lead to this machine or its network need a rule of their own',
  // hop 4: dial
  'name-not-resolved': 'the name could not be resolved',
  'address-refused': 'the name leads to an address that the rule does not admit',
  'address-denied': 'the name leads to an address that a deny rule refuses',
  'addresses-mixed': 'the name leads to public and private addresses at once',
  'connect-failed': 'the origin could not be reached',
  // hop 5: first bytes
  'first-bytes-late': 'the client said nothing for too long',
  'not-tls': 'port 443 speaks TLS',
  'not-http': 'port 80 speaks HTTP',
  'tls-malformed': 'the ClientHello is malformed',
  'sni-missing': 'the ClientHello names no server',
  'sni-mismatch': 'the ClientHello names another server than was asked for',
  ech: 'the ClientHello is encrypted',
  'http-malformed': 'the HTTP request is malformed or ambiguous',
  'host-mismatch': 'the HTTP request names another host than was asked for',
  'http-upgrade': 'the connection may not change to another protocol',
  'http-method': 'TRACE would send credentials back to whoever can read the answer',
  'response-malformed': 'the answer of the origin is malformed, or such as only a proxy may give',
  'response-late': 'the origin did not answer in time',
  // any hop
  'audit-unavailable': 'the decision could not be recorded',
  'policy-changed': 'the policy changed and no longer allows it',
  'limit-connections': 'the agent has too many connections open',
  'limit-total': 'the gateway has too many connections open',
  'limit-rate': 'too many connections were opened within a second',
  'limit-bytes-up': 'as much was sent today as may be',
  lifetime: 'the connection was open for as long as may be',
  'idle-timeout': 'nothing was sent for too long',
} as const;

export type Reason = keyof typeof REASONS;
