/** A proxy listener on a gateway of the other fixture, and clients that speak to it octet by octet. */
import { digestOf } from '../config/tokens.ts';
import { dial } from '../net/dial.ts';
import { address, End, gateway } from './gateway.fixture.ts';
import { createIdentity } from './identity.ts';
import { type ProxyListenerOptions, serveProxy } from './proxylistener.ts';

export const TOKEN = 'k7Yd-secret';

type Setting = Parameters<typeof gateway>[0] & { proxy?: Partial<ProxyListenerOptions> };

/** Its agent is `bot` unless `proxy` says otherwise; `bot` has a token. */
export function proxied(setting: Setting) {
  const tokens = new Map([['bot', { digest: digestOf(TOKEN), created: 0 }]]);
  const fence = gateway({
    ...setting,
    options: {
      identities: createIdentity({ policy: () => fence.state.policy, tokens: () => tokens }),
      ...setting.options,
    },
  });
  const where = { hostname: '127.0.0.1', port: 0 };
  const { port } = serveProxy(fence.gateway, { where, agent: 'bot', session: 'p1', ...setting.proxy });

  async function connect(): Promise<End> {
    const dialled = await dial([address('127.0.0.1')], port, { timeout: 2_000 });
    if (!dialled.ok) throw new Error(dialled.detail);
    const end = new End();
    end.socket = dialled.socket;
    end.socket.handler = end;
    fence.opened(end);
    return end;
  }
  /** What the proxy says to this until it closes or goes quiet after `enough` octets. */
  async function say(first: string | Uint8Array, cut = 0): Promise<End> {
    const end = await connect();
    const bytes = typeof first === 'string' ? Buffer.from(first, 'latin1') : first;
    if (cut > 0) {
      end.send(bytes.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
    }
    end.send(bytes.subarray(cut));
    return end;
  }
  return { ...fence, port, tokens, connect, say };
}

export const CONNECTED = 'HTTP/1.1 200 Connection established\r\n\r\n';

export const connectTo = (place: string, more = '') =>
  `CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n${more}\r\n`;

export const basic = (user: string, password: string) =>
  `Proxy-Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}\r\n`;

const text = (octets: readonly number[]) => String.fromCharCode(...octets);

/** SOCKS5 as text of one character an octet. */
export const socks = {
  greeting: text([5, 1, 0]),
  greetingWithPassword: text([5, 2, 0, 2]),
  credentials: (user: string, password: string) =>
    text([1, user.length]) + user + text([password.length]) + password,
  request: (name: string, port: number, command = 1) =>
    text([5, command, 0, 3, name.length]) + name + text([port >> 8, port & 255]),
  requestOf: (octets: readonly number[], port: number) =>
    text([5, 1, 0, octets.length === 4 ? 1 : 4, ...octets, port >> 8, port & 255]),
  noMethod: text([5, 255]),
  chosen: text([5, 0]),
  chosenPassword: text([5, 2]),
  known: text([1, 0]),
  unknown: text([1, 1]),
  reply: (code: number) => text([5, code, 0, 1, 0, 0, 0, 0, 0, 0]),
};
