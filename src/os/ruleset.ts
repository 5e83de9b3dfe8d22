/**
 * The firewall inside a fence, one table for each address family, applied as one batch: all of it or nothing.
 * DNS goes to the stub and TCP to the gateway, whatever their destination; loopback is left alone; everything
 * else is logged and refused at once, so that a client sees an error and not silence.
 */
import {
  type Datagram,
  encodeRequests,
  type NamedRequest,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_REQUEST,
  nested,
  number32,
  type Octets,
  octets,
  text,
} from './netlinkmessage.ts';
import {
  accept,
  destinationIsLoopback,
  destinationPortIs,
  type Expression,
  logTo,
  protocolIs,
  redirectTo,
  rejectAsProhibited,
  rejectWithReset,
  STATE,
  stateIs,
} from './nftexpression.ts';

const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWTABLE = 0;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_NEWRULE = 6;
const NF_INET_LOCAL_OUT = 3;
const NFPROTO = { 4: 2, 6: 10 } as const;
const TABLE = 'clawctl';
const TCP = 6;
const UDP = 17;
const DNS = 53;
/** As much of a refused packet as tells where it was going: the longest IPv6 headers that we look through. */
const LOGGED_BYTES = 128;

export interface Ruleset {
  families: readonly (4 | 6)[];
  /** Where TCP is redirected to. */
  gatewayPort: number;
  /** Where port 53 is redirected to, UDP and TCP. */
  dnsPort: number;
  /** The NFLOG group that hears of refused packets, or null. */
  logGroup: number | null;
}

interface Chain {
  name: string;
  type: 'nat' | 'filter';
  priority: number;
  policy: 'accept' | 'drop';
  rules: Expression[][];
}

/** Redirects new connections. Later packets of a connection follow it without coming here. */
function redirection(family: 4 | 6, ruleset: Ruleset): Chain {
  return {
    name: 'redirection',
    type: 'nat',
    priority: -100,
    policy: 'accept',
    rules: [
      [...protocolIs(UDP), ...destinationPortIs(DNS), ...redirectTo(ruleset.dnsPort)],
      [...protocolIs(TCP), ...destinationPortIs(DNS), ...redirectTo(ruleset.dnsPort)],
      [...destinationIsLoopback(family), ...accept()],
      [...protocolIs(TCP), ...redirectTo(ruleset.gatewayPort)],
    ],
  };
}

/** Sees what the redirection made of a packet: a redirected one is on its way to loopback. */
function refusal(family: 4 | 6, ruleset: Ruleset): Chain {
  return {
    name: 'refusal',
    type: 'filter',
    priority: 0,
    policy: 'drop',
    rules: [
      [...stateIs(STATE.established | STATE.related), ...accept()],
      [...destinationIsLoopback(family), ...accept()],
      // The tail of a connection that was reset: nobody tried to go anywhere new.
      [...protocolIs(TCP), ...stateIs(STATE.invalid), ...rejectWithReset()],
      ...(ruleset.logGroup === null ? [] : [logTo(ruleset.logGroup, LOGGED_BYTES)]),
      [...protocolIs(TCP), ...rejectWithReset()],
      rejectAsProhibited(family),
    ],
  };
}

/**
 * The whole of it as one batch. What is refused is told in any case, before anything later in the batch is
 * acknowledged; so only the last message is.
 */
export function encodeRuleset(ruleset: Ruleset): Datagram {
  const contents = ruleset.families.flatMap((family) => [
    message(family, NFT_MSG_NEWTABLE, 'table', text(1, TABLE)),
    ...[redirection(family, ruleset), refusal(family, ruleset)].flatMap((chain) => [
      chainMessage(family, chain),
      ...chain.rules.map((rule, index) => ruleMessage(family, chain, rule, index + 1)),
    ]),
  ]);
  contents.at(-1)!.flags |= NLM_F_ACK;
  return encodeRequests([batchMark(NFNL_MSG_BATCH_BEGIN), ...contents, batchMark(NFNL_MSG_BATCH_END)]);
}

function batchMark(type: number): NamedRequest {
  const body = octets(0, 0, 0, NFNL_SUBSYS_NFTABLES);
  return { name: 'nftables batch', type, flags: NLM_F_REQUEST, body };
}

function message(family: 4 | 6, type: number, name: string, ...attributes: Octets[]): NamedRequest {
  const append = type === NFT_MSG_NEWRULE ? NLM_F_APPEND : 0;
  return {
    name: `nftables ${name} (IPv${family})`,
    type: (NFNL_SUBSYS_NFTABLES << 8) | type,
    flags: NLM_F_REQUEST | NLM_F_CREATE | append,
    body: octets(NFPROTO[family], 0, 0, 0) + attributes.join(''), // struct nfgenmsg
  };
}

function chainMessage(family: 4 | 6, chain: Chain): NamedRequest {
  return message(
    family,
    NFT_MSG_NEWCHAIN,
    `chain ${chain.name}`,
    text(1, TABLE),
    text(3, chain.name),
    nested(4, number32(1, NF_INET_LOCAL_OUT), number32(2, chain.priority)),
    number32(5, chain.policy === 'accept' ? 1 : 0),
    text(7, chain.type),
  );
}

function ruleMessage(family: 4 | 6, chain: Chain, rule: Expression[], number: number): NamedRequest {
  return message(
    family,
    NFT_MSG_NEWRULE,
    `rule ${chain.name} ${number}`,
    text(1, TABLE),
    text(2, chain.name),
    nested(4, ...rule),
  );
}
