import { describe, expect, test } from 'bun:test';
import { digestOf, type Tokens } from '../config/tokens.ts';
import { parseAddress } from '../names/address.ts';
import { compile } from '../policy/compile.ts';
import { readDocument } from '../policy/document.ts';
import { type Caller, createIdentity, type Identified } from './identity.ts';

const policyOf = (text: string) => {
  const result = readDocument(text, 'egress.yaml');
  if (!result.ok) throw new Error(result.problems[0]!.message);
  return compile([result.document]);
};
const tokensOf = (tokens: Record<string, string>): Tokens =>
  new Map(Object.entries(tokens).map(([agent, token]) => [agent, { digest: digestOf(token), created: 0 }]));

function world(text = 'version: 1', tokens: Record<string, string> = { bot: 'secret', ci: 'other' }) {
  const state = { policy: policyOf(text), tokens: tokensOf(tokens) };
  const identities = createIdentity({ policy: () => state.policy, tokens: () => state.tokens });
  const caller = (parts: Partial<Omit<Caller, 'address'>> & { from?: string; login?: string }): Caller => {
    const [user, password] = parts.login?.split(':') ?? [];
    return {
      address: parts.from === undefined ? null : parseAddress(parts.from),
      listenerAgent: parts.listenerAgent ?? null,
      credentials: user === undefined ? null : { user, password: password! },
    };
  };
  const identify = (parts: Parameters<typeof caller>[0]) => identities.identify(caller(parts));
  return {
    state,
    holds: identities.holds,
    identify,
    /** The agent and how it is known, or the reason why not. */
    known(parts: Parameters<typeof caller>[0]): string {
      const found = identify(parts);
      return found.ok ? `${found.agent} by ${found.by}` : found.reason;
    },
  };
}

describe('an agent', () => {
  test('is known by its name and token', () => {
    const { known } = world();
    expect(known({ login: 'bot:secret' })).toBe('bot by credentials');
    expect(known({ login: 'ci:other', from: '192.0.2.1' })).toBe('ci by credentials');
  });

  test('is not known by anything that is nearly that', () => {
    const { known } = world();
    for (const login of [
      'bot:other',
      'ci:secret',
      'bot:',
      ':secret',
      ':',
      'nobody:secret',
      'Bot:secret',
      'bot:Secret',
      'bot:secre',
    ])
      expect(known({ login })).toBe('credentials-wrong');
    expect(known({ login: `bot:${Buffer.from(digestOf('secret')).toString('hex')}` })).toBe(
      'credentials-wrong',
    );
    expect(known({ login: '__proto__:x' })).toBe('credentials-wrong');
    expect(known({})).toBe('credentials-missing');
    expect(known({ from: '192.0.2.1' })).toBe('credentials-missing');
  });

  test('is known by the listener that is its own, and nobody else is let in there', () => {
    const { known } = world();
    expect(known({ listenerAgent: 'vm' })).toBe('vm by listener');
    expect(known({ listenerAgent: 'bot', login: 'bot:secret' })).toBe('bot by credentials');
    expect(known({ listenerAgent: 'vm', login: 'bot:secret' })).toBe('credentials-wrong');
  });

  test('is known by where it comes from, by the narrowest range', () => {
    const { known } = world('agents: {a: {from: [10.0.0.0/8]}, b: {from: [10.2.0.0/16, "2001:db8::/32"]}}');
    expect(known({ from: '10.1.0.1' })).toBe('a by address');
    expect(known({ from: '10.2.0.1' })).toBe('b by address');
    expect(known({ from: '2001:db8::7' })).toBe('b by address');
    expect(known({ from: '11.0.0.1' })).toBe('credentials-missing');
    expect(known({ from: '10.2.0.1', login: 'ci:other' })).toBe('ci by credentials');
  });

  test('is known in the form in which a socket for both families shows IPv4, and in no other', () => {
    const { known } = world('agents: {a: {from: [10.0.0.0/8]}}');
    expect(known({ from: '::ffff:10.1.0.1' })).toBe('a by address');
    for (const from of ['64:ff9b::10.1.0.1', '2002:0a01:0001::', '::10.1.0.1'])
      expect(known({ from })).toBe('credentials-missing');
  });

  test('with wrong credentials is refused, though its listener or its address would do', () => {
    const { known } = world('agents: {a: {from: [10.0.0.0/8]}}');
    for (const login of ['a:guess', 'bot:guess', 'a:'])
      for (const parts of [
        { from: '10.0.0.1' },
        { listenerAgent: 'a' },
        { listenerAgent: 'bot', from: '10.0.0.1' },
      ])
        expect(known({ ...parts, login })).toBe('credentials-wrong');
  });
});

describe('an agent that was known', () => {
  test('by its token is so until the token is changed or taken back', () => {
    const { state, identify, holds } = world();
    const bot = identify({ login: 'bot:secret' }) as Identified;
    const ci = identify({ login: 'ci:other' }) as Identified;
    expect([holds(bot), holds(ci)]).toEqual([true, true]);
    state.tokens = tokensOf({ bot: 'rotated', ci: 'other' });
    expect([holds(bot), holds(ci)]).toEqual([false, true]);
    state.tokens = tokensOf({ ci: 'other' });
    expect(holds(bot)).toBe(false);
    state.tokens = new Map();
    expect(holds(ci)).toBe(false);
  });

  test('by its address is so until the address is somebody else’s, or nobody’s', () => {
    const { state, identify, holds, known } = world('agents: {a: {from: [10.0.0.0/8]}}');
    const found = identify({ from: '10.2.0.1' }) as Identified;
    state.policy = policyOf('agents: {a: {from: [10.0.0.0/8]}, b: {}}');
    expect(holds(found)).toBe(true);
    state.policy = policyOf('agents: {a: {from: [10.0.0.0/8]}, b: {from: [10.2.0.0/16]}}');
    expect(holds(found)).toBe(false);
    state.policy = policyOf('version: 1');
    expect(holds(found)).toBe(false);
    expect(known({ from: '10.2.0.1' })).toBe('credentials-missing');
  });

  test('by its listener is so, whatever becomes of tokens and ranges', () => {
    const { state, identify, holds } = world();
    const found = identify({ listenerAgent: 'vm' }) as Identified;
    state.tokens = new Map();
    expect(holds(found)).toBe(true);
  });
});
