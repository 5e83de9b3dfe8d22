/** One case as its client sees it: what is said on each channel, and what the answer means. */
import { createSocket } from 'node:dgram';
import { type Case, octetsOf, type Segment, type Verdict } from './case.ts';
import { Client } from './client.ts';
import { helloTo } from './clienthello.ts';
import { HEARD } from './origin.ts';
import { CONTROL } from './policytext.ts';
import { CONTROL_ADDRESS, placed } from './stand.ts';
import type { Destination, Subject } from './subject.ts';

/** `closed`: without a word, which refuses either way. `open`: no answer at all. */
export interface Outcome {
  verdict: Verdict | 'closed' | 'open';
  heard: string;
}

/** How octets are sent. */
export type Sending = (client: Client, octets: Buffer) => void | Promise<void>;
export const WHOLE: Sending = (client, octets) => client.say(octets);

export const OCTET_BY_OCTET: Sending = async (client, octets) => {
  for (const octet of octets) {
    client.say(Buffer.of(octet));
    await Bun.sleep(0);
  }
};

/** Milliseconds in which a second answer to the same octets would come. */
const AFTER = 40;

export async function converse(each: Case, subject: Subject, send: Sending = WHOLE): Promise<Outcome> {
  switch (each.channel) {
    case 'policy':
      return { verdict: subject.judge(each.input.host!, Number(each.input.port)), heard: '' };
    case 'dns':
      return question(subject, each.input.transport!, octetsOf(each)!);
    case 'transparent-tls':
    case 'transparent-http':
      return transparent(each, subject, send);
    default:
      return proxied(each, subject, send);
  }
}

/** Status codes of all answers, interim ones left out. */
function statusesOf(heard: string): number[] {
  const found: number[] = [];
  for (let at = 0; ; ) {
    const match = /^HTTP\/1\.[01] (\d{3})[\s\S]*?\r\n\r\n/.exec(heard.slice(at));
    if (match === null) return found;
    const length = /\r\ncontent-length: *(\d+)/i.exec(match[0])?.[1] ?? '0';
    const status = Number(match[1]);
    if (status >= 200 || status === 101) found.push(status);
    at += match[0].length + Number(length);
  }
}

function verdictOfStatus(status: number): Verdict {
  if (status < 400) return 'allow';
  return status === 403 || status === 407 ? 'deny' : 'error';
}

const SOCKS_DENY = [2];
/** Latin-1 of what a SOCKS5 server said. */
function verdictOfSocks(heard: string): Outcome['verdict'] | null {
  const octets = Buffer.from(heard, 'latin1');
  if (octets.length === 0) return null;
  if (octets[0] !== 5) return 'closed';
  if (octets[1] === 0xff) return 'deny';
  let at = 2;
  if (octets[1] === 2) {
    if (octets.length < 4) return null;
    if (octets[3] !== 0) return 'deny';
    at = 4;
  }
  if (octets.length < at + 2) return null;
  const reply = octets[at + 1]!;
  if (reply === 0) return 'allow';
  return SOCKS_DENY.includes(reply) ? 'deny' : 'error';
}

const SOCKS_REPLY = 10;
/** Where nobody is known. */
const STRANGER = '127.0.0.9';

async function proxied(each: Case, subject: Subject, send: Sending): Promise<Outcome> {
  const stranger = each.policy.proxy_auth === true;
  const client = stranger ? new Client(subject.closedProxyPort, STRANGER) : new Client(subject.proxyPort);
  try {
    const segments: Segment[] = each.input.segments ?? [{ raw: rawOf(each, subject) }];
    const isSocks = each.channel === 'socks5';
    for (const [i, segment] of segments.entries()) {
      if (segment.wait_response) {
        await client.until((heard) => statusesOf(heard).length > 0, subject.patience);
        continue;
      }
      const octets = Buffer.from(
        segment.raw ?? segment.hex ?? '',
        segment.raw === undefined ? 'hex' : 'latin1',
      );
      const said = client.heard.length;
      await send(client, octets);
      if (isSocks && i < segments.length - 1) await client.until((heard) => heard.length > said, 200);
    }
    const isTunnel = isSocks || segments[0]?.raw?.startsWith('CONNECT');
    const answered = (heard: string) =>
      isSocks && !heard.startsWith('HTTP') ? verdictOfSocks(heard) !== null : statusesOf(heard).length > 0;
    await client.until(answered, subject.patience);
    if (!isTunnel) await client.until(() => false, AFTER);
    const { heard } = client;
    const socks = isSocks && !heard.startsWith('HTTP') ? verdictOfSocks(heard) : null;
    const status = statusesOf(heard).at(-1);
    const verdict = socks ?? (status === undefined ? null : verdictOfStatus(status));
    if (verdict === 'allow' && isTunnel && !heard.startsWith('HTTP/1.1 200 OK')) {
      if (segments.length > 1 && !isSocks) return await ended(client, subject);
      return await inTunnel(each, client, subject, isSocks ? SOCKS_REPLY : 0);
    }
    return verdict === null ? await ended(client, subject) : { verdict, heard };
  } finally {
    client.leave();
  }
}

const rawOf = ({ input }: Case, { proxyPort }: Subject): string => {
  if (input.raw_template !== undefined) return input.raw_template.replaceAll('{proxyPort}', `${proxyPort}`);
  if (input.raw !== undefined) return input.raw;
  return `CONNECT ${input.connect} HTTP/1.1\r\nHost: ${input.connect}\r\n\r\n`;
};

/** What was promised must hold: the origin answers the first octets through the tunnel. */
async function inTunnel(each: Case, client: Client, subject: Subject, before: number): Promise<Outcome> {
  const { host, port } = targetOf(each);
  const at = Math.max(before, client.heard.length);
  client.say(firstOctets(each, host, port));
  await client.until((heard) => heard.length > at, subject.patience);
  if (client.heard.slice(at).includes(HEARD)) return { verdict: 'allow', heard: client.heard };
  const { verdict, heard } = await ended(client, subject);
  return { verdict: client.heard.slice(at).startsWith('\x15') ? 'deny' : verdict, heard };
}

function firstOctets({ then, input }: Case, host: string, port: number): Buffer {
  if (then?.raw !== undefined) return Buffer.from(then.raw, 'latin1');
  if (then !== undefined && 'tls_sni' in then) return helloTo(null);
  if (port === 80) return Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  return helloTo(input.sni ?? host);
}

function targetOf({ input, channel }: Case): { host: string; port: number } {
  const text = input.raw ?? `CONNECT ${input.connect ?? ''} `;
  const [, name = '', port = '443'] = /^CONNECT (.*?):(\d+) /.exec(text) ?? [];
  if (channel !== 'socks5') return { host: name.toLowerCase().replace(/\.$/, ''), port: Number(port) };
  const request = Buffer.from(input.segments?.at(-1)?.hex ?? '', 'hex');
  const length = request[4] ?? 0;
  return {
    host: request.subarray(5, 5 + length).toString('latin1'),
    port: request.length > 6 + length ? request.readUInt16BE(5 + length) : 443,
  };
}

async function ended(client: Client, { patience }: Subject): Promise<Outcome> {
  await client.until(() => false, patience);
  return { verdict: client.end === null ? 'open' : 'closed', heard: client.heard };
}

/** Where it was going: what stands behind the address is said by the case, or is the name that its policy allows. */
export function destinationOf({ input, setup, policy }: Case): Destination {
  const bound = setup?.dns_binding?.[input.dst_ip!]?.[0];
  const allowed = String(policy.allow?.[0] ?? 'allowed.test').replace('*', 'x');
  const address = placed(input.dst_ip!);
  const name = bound ?? (address === input.dst_ip ? null : allowed);
  // A gateway that gave out no address of its own knows no name but the one that the client says.
  if (input.unbound) return { address, port: input.dst_port!, name: null, namedByClient: true };
  return { address, port: input.dst_port!, name };
}

async function transparent(each: Case, subject: Subject, send: Sending): Promise<Outcome> {
  const client = new Client(subject.transparentPort(destinationOf(each)));
  try {
    const silent = each.input.segments?.some(({ wait_ms }) => wait_ms !== undefined);
    if (!silent) await send(client, octetsOf(each)!);
    await client.until((heard) => heard.length > 0, subject.patience);
    await client.until(() => false, AFTER);
    const { heard } = client;
    if (heard.includes(HEARD)) return { verdict: 'allow', heard };
    if (heard.startsWith('\x15')) return { verdict: 'deny', heard };
    const status = statusesOf(heard).at(-1);
    return status === undefined ? await ended(client, subject) : { verdict: verdictOfStatus(status), heard };
  } finally {
    client.leave();
  }
}

const RCODES: Record<number, Verdict> = { 1: 'error', 2: 'error', 3: 'deny', 4: 'deny', 5: 'deny' };

async function question({ dnsPort }: Subject, transport: 'udp' | 'tcp', octets: Buffer): Promise<Outcome> {
  const answer = transport === 'udp' ? await byDatagram(dnsPort, octets) : await byStream(dnsPort, octets);
  if (answer.length < 12) return { verdict: 'closed', heard: '' };
  const heard = answer.toString('latin1');
  const refused = RCODES[answer[3]! & 15];
  if (refused !== undefined) return { verdict: refused, heard };
  return { verdict: answer.readUInt16BE(6) > 0 ? 'allow' : 'deny', heard };
}

function byDatagram(port: number, octets: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const done = (answer: Buffer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => done(Buffer.alloc(0)), 300);
    socket.on('message', done);
    socket.send(octets, port, '127.0.0.1');
  });
}

async function byStream(port: number, octets: Buffer): Promise<Buffer> {
  const client = new Client(port);
  client.say(octets);
  await client.until((heard) => heard.length > 2, 300);
  client.leave();
  return Buffer.from(client.heard.slice(2), 'latin1');
}

/** A request of somebody who may, by the same channel; rejects where it is not answered. Milliseconds. */
export async function control({ channel }: Case, subject: Subject): Promise<number> {
  const started = performance.now();
  const { proxyPort, patience } = subject;
  const behind = (port: number) =>
    new Client(subject.transparentPort({ address: CONTROL_ADDRESS, port, name: CONTROL }));
  const request = (target: string) => `GET ${target} HTTP/1.1\r\nHost: ${CONTROL}\r\n\r\n`;
  /** What is said, and what has to be heard of it before the next is said. */
  const ask = async (client: Client, ...steps: [octets: string | Buffer, answer: string][]) => {
    for (const [octets, answer] of steps) {
      client.say(octets);
      if (await client.until((heard) => heard.includes(answer), patience)) continue;
      client.leave();
      throw new Error(`no answer to the control request, but ${JSON.stringify(client.heard)}`);
    }
    client.leave();
  };
  const hello: [Buffer, string] = [helloTo(CONTROL), HEARD];
  switch (channel) {
    case 'policy':
      break;
    case 'dns': {
      const { verdict } = await question(subject, 'udp', CONTROL_QUESTION);
      if (verdict !== 'allow') throw new Error(`the control question was answered with ${verdict}`);
      break;
    }
    case 'transparent-tls':
      await ask(behind(443), hello);
      break;
    case 'transparent-http':
      await ask(behind(80), [request('/'), HEARD]);
      break;
    case 'connect': {
      const connect = `CONNECT ${CONTROL}:443 HTTP/1.1\r\nHost: ${CONTROL}:443\r\n\r\n`;
      await ask(new Client(proxyPort), [connect, '\r\n\r\n'], hello);
      break;
    }
    case 'socks5': {
      const connect = `\x05\x01\0\x03${String.fromCharCode(CONTROL.length)}${CONTROL}\x01\xbb`;
      await ask(new Client(proxyPort), ['\x05\x01\0', '\x05\0'], [connect, '\x05\0\0\x01'], hello);
      break;
    }
    default:
      await ask(new Client(proxyPort), [request(`http://${CONTROL}/`), HEARD]);
  }
  return performance.now() - started;
}

const CONTROL_QUESTION = Buffer.from(
  `\x12\x34\x01\0\0\x01\0\0\0\0\0\0${CONTROL.split('.')
    .map((label) => String.fromCharCode(label.length) + label)
    .join('')}\0\0\x01\0\x01`,
  'latin1',
);
