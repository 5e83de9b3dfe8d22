/** Which cases are answered in another way than they ask for, which cannot be asked at all, and why. */
import { CASES, type Case, casesOf, type Verdict } from './case.ts';

/** The product has decided otherwise; what must not happen holds all the same. */
export const DECIDED_OTHERWISE: Record<string, { accept: Verdict[]; why: string }> = {
  'DNS-002': {
    accept: ['allow'],
    why: 'every name is answered with a synthetic address from memory; the connection to it is decided, with its port',
  },
  'DNS-035': { accept: ['allow'], why: 'as DNS-002' },
  'DNS-029': { accept: ['deny'], why: 'a name that is no host name is REFUSED, not FORMERR' },
  'SK-003': {
    accept: ['error'],
    why: 'a command other than CONNECT is answered with reply 07, as its reason says',
  },
};

const TLS_IS_CLOSED = 'TLS is not opened, so no rule can speak of methods, paths, bodies or headers in it';
const NO_METHODS = 'rules on methods or paths do not load: they would promise what a tunnel cannot keep';
const NO_PARENT = 'there are no parent proxies';

/** What cannot be asked of this product. */
export const NOT_APPLICABLE: Record<string, string> = {
  'CN-024': NO_PARENT,
  ...Object.fromEntries(
    ['EX-002', 'EX-005', 'EX-010', 'EX-014', 'EX-015', 'EX-019', 'EX-020', 'EX-025', 'EX-029']
      .concat(['TI-005', 'TI-011', 'TI-012', 'TI-013', 'TI-016', 'TI-019', 'TI-021', 'TI-022', 'TI-023'])
      .concat(['TI-025', 'TI-026', 'RS-026'])
      .map((id) => [id, TLS_IS_CLOSED]),
  ),
  'HP-030': NO_METHODS,
  'HP-031': NO_METHODS,
  'SB-045': 'one batch makes the rules of both families: there is no half of it that could fail',
  'RL-032': 'there are no grants with a time limit yet; a rule has a date, `until`, and no duration',
  'RB-012': 'the resolver is configured outside of every fence, whose resolv.conf is its own',
};

/** They are about what an upstream name server answers, and the stub asks none: the resolver behind a connection does. */
const UPSTREAM = ['DNS-047', 'DNS-048', 'DNS-049', 'DNS-050'];

/** Steps and commands instead of octets: not a conversation, but a test of its own. */
const isSystem = ({ input }: Case) =>
  input.steps !== undefined ||
  input.sandbox !== undefined ||
  input.udp ||
  (input.hex ?? input.raw) === undefined;

const CHANNELS = [
  'policy',
  'dns',
  'transparent-tls',
  'transparent-http',
  'ops',
  'connect',
  'socks5',
  'http-proxy',
];

/** The channels of a gateway and its policy; those of the admin API, of logs and of alerts are not its matter. */
export const OURS = casesOf(...CHANNELS);

export const CONVERSATIONS = OURS.filter(
  (each) =>
    NOT_APPLICABLE[each.id] === undefined &&
    !UPSTREAM.includes(each.id) &&
    (each.input.file_text !== undefined ||
      each.input.file_hex !== undefined ||
      each.input.host !== undefined ||
      each.input.segments !== undefined ||
      each.input.connect !== undefined ||
      (typeof each.input.gen === 'object' && each.input.gen.case !== undefined) ||
      !isSystem(each)),
);

export const SYSTEM = OURS.filter(
  (each) => NOT_APPLICABLE[each.id] === undefined && !CONVERSATIONS.includes(each),
);

/** Cases by id. */
export const caseOf = (id: string): Case => CASES.find((each) => each.id === id)!;
