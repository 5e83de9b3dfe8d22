/** Giving agents tokens, and taking them back. The token itself goes to the caller and is kept nowhere. */
import { Failure } from '../base/failure.ts';
import { isAgentName } from '../policy/agentname.ts';
import { didYouMean } from '../policy/problem.ts';
import { replaceFile } from './replacement.ts';
import { digestOf, readTokens, type Token, type Tokens, tokensText } from './tokens.ts';

const OCTETS = 32;

/** Returns the token, in base64url. Throws a Failure; then nothing has changed. */
export function addToken(file: string, agent: string, now: number): string {
  if (!isAgentName(agent))
    throw new Failure(
      'usage',
      `'${agent}' is not the name of an agent`,
      'It has 1 to 64 letters, digits and . _ + @ - and begins with a letter or digit.',
    );
  const [token, entry] = freshToken(now);
  edit(file, (tokens) => {
    if (tokens.has(agent))
      throw new Failure(
        'there-already',
        `${agent} has a token already, which cannot be shown again`,
        `For a new one in its place: clawctl egress agents rotate ${agent}`,
      );
    return tokens.set(agent, entry);
  });
  return token;
}

/** The old token is worth nothing from now on, for live connections too. */
export function rotateToken(file: string, agent: string, now: number): string {
  const [token, entry] = freshToken(now);
  edit(file, (tokens) => {
    if (!tokens.has(agent)) throw unknown(agent, tokens);
    return tokens.set(agent, entry);
  });
  return token;
}

export function removeToken(file: string, agent: string): void {
  edit(file, (tokens) => {
    if (!tokens.delete(agent)) throw unknown(agent, tokens);
    return tokens;
  });
}

function freshToken(now: number): [token: string, entry: Token] {
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(OCTETS))).toString('base64url');
  return [token, { digest: digestOf(token), created: now }];
}

function edit(file: string, change: (tokens: Map<string, Token>) => Tokens): void {
  const kind = { read: readTokens, unwritable: 'tokens-unwritable', mode: 0o600 } as const;
  replaceFile(file, kind, (tokens) => tokensText(change(new Map(tokens))));
}

function unknown(agent: string, tokens: Tokens): Failure {
  const fix =
    tokens.size === 0 ? `For one: clawctl egress agents add ${agent}` : didYouMean(agent, [...tokens.keys()]);
  return new Failure('not-found', `${agent} has no token`, fix);
}
