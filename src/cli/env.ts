/** `clawctl egress env`: what programs need to know to go through a gateway as this agent. */
import { timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { reasonOf } from '../config/fileerror.ts';
import { loadPolicy } from '../config/load.ts';
import { digestOf, readTokens, type Tokens } from '../config/tokens.ts';
import { LOOPBACK, parseAddress } from '../names/address.ts';
import { classOf } from '../names/addressclass.ts';
import { printable } from '../names/display.ts';
import { authority, parseHost } from '../names/host.ts';
import { isAgentName } from '../policy/agentname.ts';
import type { Endpoint, ProxyEntry } from '../policy/listener.ts';
import { fromOf, listenOf, type Policy } from '../policy/policy.ts';
import { didYouMean } from '../policy/problem.ts';
import { policyOf } from './check.ts';
import { print, printJson, say, sayRaw } from './output.ts';
import {
  type Access,
  type Format,
  OUTSIDE_CONTAINER,
  proxyVariables,
  sshProxyCommand,
  TOKEN_VARIABLE,
  written,
} from './proxyvariables.ts';

interface Options {
  agent: string;
  format: Format;
  proxy?: string;
  tokenFile?: string;
  policy?: string;
  json?: boolean;
}

const USUAL: Endpoint = { address: LOOPBACK[4], port: 8880 };

type Proxy = ProxyEntry & { where: Endpoint };

export async function env(options: Options): Promise<void> {
  const paths = pathsOf();
  const { agent } = options;
  if (!isAgentName(agent))
    throw new Failure(
      'usage',
      `'${printable(agent)}' is not the name of an agent.`,
      'See: clawctl egress agents list',
    );
  const format = options.json === true ? 'json' : options.format;
  const inContainer = format === 'docker' || format === 'compose';
  const given = options.proxy === undefined ? null : proxyIn(options.proxy);
  const { policy } = loadPolicy(policyOf(options, paths));
  const tokens = readTokens(paths.tokens);
  const listener =
    given === null ? listenerFor(policy, agent, inContainer) : (proxiesOf(policy).find(isAt(given)) ?? null);
  const credentials =
    listener?.agent !== agent &&
    (options.tokenFile !== undefined || needsToken(policy, tokens, agent, given !== null));
  const token = credentials ? readToken(options.tokenFile, format, agent, tokens) : null;
  const access = { agent, proxy: given ?? urlOf(listener, inContainer), token, credentials };
  if (format === 'json') printJson('env', asDocument(access));
  else print(written(access, format).trimEnd());
  if (given === null) warnOfPlace(listener, inContainer);
}

function asDocument(access: Access): object {
  const { agent, proxy, token, credentials } = access;
  return {
    agent,
    proxy,
    token: credentials ? (token === null ? `\${${TOKEN_VARIABLE}}` : 'given') : null,
    variables: Object.fromEntries(proxyVariables(access)),
    ssh_proxy_command: sshProxyCommand(access),
  };
}

const proxiesOf = (policy: Policy): Proxy[] =>
  listenOf(policy).filter((entry): entry is Proxy => entry.kind === 'proxy' && !('path' in entry.where));

const isAt =
  (url: string) =>
  ({ where }: Proxy) =>
    url.endsWith(`//${authority({ kind: 'address', address: where.address }, where.port)}`);

/** Its own listener needs no token; else one that is everybody's, the nearest first. */
function listenerFor(policy: Policy, agent: string, inContainer: boolean): Proxy | null {
  const isNear = ({ where }: Proxy) => classOf(where.address) === 'loopback';
  const usable = proxiesOf(policy)
    .filter((entry) => entry.agent === null || entry.agent === agent)
    .sort((a, b) => Number(isNear(a) === inContainer) - Number(isNear(b) === inContainer));
  return usable.find((entry) => entry.agent === agent) ?? usable[0] ?? null;
}

/** Whether the agent is asked who it is. Throws a Failure where no gateway of this machine would know it. */
function needsToken(policy: Policy, tokens: Tokens, agent: string, isElsewhere: boolean): boolean {
  if (tokens.has(agent)) return true;
  if (fromOf(policy).some((origin) => origin.agent === agent)) return false;
  if (isElsewhere) return true;
  const known = [...tokens.keys(), ...policy.agents.keys()];
  const meant = known.includes(agent) ? null : didYouMean(agent, known);
  throw new Failure(
    'not-found',
    `No gateway would know ${agent}: it has no token, and no listener or address of its own.`,
    meant?.startsWith('Did') === true ? meant : `For a token: clawctl egress agents add ${agent}`,
  );
}

/** Null: what is written names the variable in which the token will be. */
function readToken(file: string | undefined, format: Format, agent: string, tokens: Tokens): string | null {
  if (file !== undefined && (format === 'docker' || format === 'compose'))
    throw new Failure(
      'usage',
      `A ${format === 'docker' ? 'Dockerfile' : 'compose file'} is no place for a token.`,
      `Leave --token-file out: what is printed takes the token from ${TOKEN_VARIABLE}.`,
    );
  const isWritten = format === 'env-file' || format === 'json';
  const token = file === undefined ? (isWritten ? process.env[TOKEN_VARIABLE] : undefined) : tokenIn(file);
  if (token === undefined || token === '') {
    if (format !== 'env-file') return null;
    throw new Failure(
      'usage',
      'A file of variables needs the token itself, which is shown only when it is made.',
      `Give it as --token-file FILE (- for standard input) or in ${TOKEN_VARIABLE}; for a new one: clawctl egress agents rotate ${agent}`,
    );
  }
  const known = tokens.get(agent);
  if (
    !/^[A-Za-z0-9_-]{43}$/.test(token) ||
    (known !== undefined && !timingSafeEqual(digestOf(token), known.digest))
  )
    throw new Failure(
      'usage',
      `That is not the token of ${agent}.`,
      `For a new one: clawctl egress agents rotate ${agent}`,
    );
  return token;
}

/** The token alone, or the document that \`agents add --json\` prints. */
function tokenIn(file: string): string {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (error) {
    throw new Failure(
      'usage',
      `The token cannot be read from ${printable(file)}: ${reasonOf(error)}.`,
      'Check the path.',
    );
  }
  const [, token] = /^\{.*"token": ?"([^"]*)"/.exec(text) ?? [];
  return token ?? text;
}

function proxyIn(text: string): string {
  const { protocol, username, password, pathname, search, hash, hostname, port } = urlIn(text) ?? {};
  const isPlain = username === '' && password === '' && pathname === '/' && search === '' && hash === '';
  if ((protocol !== 'http:' && protocol !== 'https:') || !isPlain || parseHost(hostname ?? '') === null)
    throw new Failure(
      'usage',
      `'${printable(text)}' is not the address of a proxy.`,
      'Write it as http://10.0.0.1:8880, without a name and a token; SOCKS5 is spoken at the same address.',
    );
  // A URL drops the port that is usual for its scheme, and programs do not agree on one where none is written.
  const written = port === '' ? /:(\d+)\/?$/.exec(text)?.[1] : port;
  if (written === undefined)
    throw new Failure(
      'usage',
      `'${printable(text)}' has no port, and programs do not agree on which they take then.`,
      `Write it as ${protocol}//${hostname}:8880.`,
    );
  return `${protocol}//${hostname}:${Number(written)}`;
}

function urlIn(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

function urlOf(listener: Proxy | null, inContainer: boolean): string {
  const [scheme, where] =
    listener === null ? ['http', USUAL] : [listener.tls === null ? 'http' : 'https', listener.where];
  const { address, port } = where;
  const isHere = address.family === 4 ? '127.0.0.1' : '::1';
  const addressClass = classOf(address);
  const isEverywhere = addressClass === 'unspecified';
  if (inContainer && (isEverywhere || addressClass === 'loopback'))
    return `${scheme}://${OUTSIDE_CONTAINER}:${port}`;
  const shown = isEverywhere ? parseAddress(isHere)! : address;
  return `${scheme}://${authority({ kind: 'address', address: shown }, port)}`;
}

function warnOfPlace(listener: Proxy | null, inContainer: boolean): void {
  if (listener === null) {
    say(`the policy names no proxy to listen on, so the usual place was taken`);
    sayRaw('  Name it with --proxy URL, or write listen: [127.0.0.1:8880] in the policy.\n');
  } else if (inContainer && classOf(listener.where.address) === 'loopback') {
    say('the proxy listens on this machine alone, where no container reaches it');
    sayRaw('  Under listen: in the policy add an address that containers reach, such as 172.17.0.1:8880.\n');
  }
  if (listener?.tls != null) {
    say('the proxy speaks TLS: programs will look for its address in its certificate');
    sayRaw('  Where the certificate has a name, give it: --proxy https://NAME:PORT\n');
  }
}
