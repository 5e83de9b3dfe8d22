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
  'SB-022': 'a container needs the socket of its engine, which is SB-011',
  'SB-041':
    'the limits of processes and memory are those of the shell; the gateway is outside of every fence',
  'RS-031': 'nothing of the gateway is inside of a fence: where it dies, the fence dies with it (see RL-038)',
  'RB-012': 'the resolver is configured outside of every fence, whose resolv.conf is its own',
};

/** Cases that are a test of their own elsewhere: the file, and words of its title. */
export const ELSEWHERE: Record<string, [file: string, title: string]> = {
  'DNS-043': ['rig/attacks.ts', 'multicast DNS'],
  'SB-007': ['rig/attacks.ts', 'ICMP echo'],
  'SB-011': ['doors.test.ts', 'in the home, in a visible folder and in the workspace leads nowhere'],
  'SB-013': ['rig/attacks.ts', 'a packet socket'],
  'SB-015': ['processes.test.ts', 'only processes of the fence are seen'],
  'SB-023': ['rig/attacks.ts', 'a keystroke pushed into the terminal'],
  'SB-034': ['rig/attacks.ts', 'a DNS question straight to a public resolver'],
  'SB-039': ['corpus/system.test.ts', 'another fence'],
  'SB-040': ['processes.test.ts', 'a crash leaves no core file'],
  'SB-044': ['badinput.test.ts', 'namespaces'],
  'RL-006': ['corpus/changes.test.ts', 'RL-006'],
  'RL-008': ['corpus/changes.test.ts', 'RL-008'],
  'RL-010': ['corpus/changes.test.ts', 'RL-010'],
  'RL-011': ['reload.test.ts', 'a storm of changes'],
  'RL-012': ['corpus/changes.test.ts', 'RL-012'],
  'RL-014': ['corpus/changes.test.ts', 'RL-014'],
  'RL-022': ['corpus/changes.test.ts', 'RL-022'],
  'RL-023': ['kill.test.ts', 'holds across a restart and a killed worker'],
  'RL-024': ['kill.test.ts', 'damaged'],
  'RL-027': ['kill.test.ts', 'needs neither a policy nor a store'],
  'RL-028': ['kill.test.ts', 'resets 200 tunnels over all workers'],
  'RL-038': ['processes.test.ts', 'everything inside ends when clawctl is killed'],
  'RL-041': ['serve.test.ts', 'ends with its supervisor, and nothing is left listening'],
  'RL-043': ['serve.test.ts', 'takes over without a refused connection'],
  'EX-022': ['serve.test.ts', 'of a day are not forgotten by a takeover'],
  'EX-035': ['corpus/changes.test.ts', 'EX-035'],
  'RS-011': ['corpus/changes.test.ts', 'RS-012'],
  'RS-012': ['corpus/changes.test.ts', 'RS-012'],
  'RS-013': ['corpus/changes.test.ts', 'RS-013'],
  'RS-015': ['soak/soak.test.ts', 'memory'],
  'RS-017': ['corpus/changes.test.ts', 'RS-017'],
  'RS-022': ['corpus/system.test.ts', 'RS-022'],
  'RS-030': ['corpus/changes.test.ts', 'RS-030'],
  'CF-016': ['corpus/system.test.ts', 'CF-016'],
  'DNS-037': ['corpus/system.test.ts', 'DNS-037'],
  'DNS-047': ['corpus/upstream.test.ts', 'beside the truth is believed no word'],
  'DNS-048': ['corpus/upstream.test.ts', 'beside the truth is believed no word'],
  'DNS-049': ['corpus/upstream.test.ts', 'what cannot be read is not believed'],
  'DNS-050': ['corpus/upstream.test.ts', 'what cannot be read is not believed'],
};

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
    ELSEWHERE[each.id] === undefined &&
    (each.input.file_text !== undefined ||
      each.input.file_hex !== undefined ||
      each.input.host !== undefined ||
      each.input.segments !== undefined ||
      each.input.connect !== undefined ||
      (typeof each.input.gen === 'object' && each.input.gen.case !== undefined) ||
      !isSystem(each)),
);

/** Cases by id. */
export const caseOf = (id: string): Case => CASES.find((each) => each.id === id)!;
