/** One channel as it stands in a file. Nothing of its lines is shown in an error: they are where secrets end up by mistake. */
import { isMap, isScalar, type Node } from 'yaml';
import { parseHost } from '../../names/host.ts';
import { mappedRange, parseRange, rangeText } from '../../names/range.ts';
import type { Entry, Reading } from '../reading.ts';
import { isChannelName } from './alertentry.ts';
import type { ChannelConfig, EmailChannel, Secret } from './channel.ts';
import { channelUrlProblem } from './channelurl.ts';
import { isMailAddress } from './mail.ts';

const PAGERDUTY = 'https://events.pagerduty.com/v2/enqueue';
const PORTS: Readonly<Record<EmailChannel['security'], number>> = { tls: 465, starttls: 587, none: 25 };
const MOST_CHANNELS = 100;
const MOST_ITEMS = 100;

const WEB = ['addresses', 'ca'];
const KEYS = {
  email: ['server', 'security', 'username', 'password', 'ca', 'from', 'to'],
  slack: ['url', ...WEB],
  pagerduty: ['key', 'url', ...WEB],
  webhook: ['url', 'secret', ...WEB],
  command: ['command'],
  desktop: [],
} as const satisfies Record<ChannelConfig['type'], readonly string[]>;
const TYPES = Object.keys(KEYS) as ChannelConfig['type'][];

/** The mapping under `channels`. */
export function readChannels(reading: Reading, { node }: Entry): ChannelConfig[] {
  return reading.conceal(() => {
    const channels: ChannelConfig[] = [];
    for (const [name, { key, node: section }] of reading.openMap(node, "'channels'") ?? []) {
      if (!isChannelName(name)) {
        const rule = 'It has 1 to 64 letters, digits and . _ - and begins with a letter or digit.';
        reading.problem(key, `'${name}' is not the name of a channel`, rule);
      } else if (channels.length === MOST_CHANNELS) {
        reading.problem(key, `there are at most ${MOST_CHANNELS} channels`);
        break;
      } else {
        const channel = new ChannelReading(reading, name, section).read();
        if (channel !== null) channels.push(channel);
      }
    }
    return channels;
  });
}

class ChannelReading {
  #entries: Map<string, Entry> = new Map();

  constructor(
    readonly reading: Reading,
    readonly name: string,
    readonly node: Node,
  ) {}

  read(): ChannelConfig | null {
    const type = this.#type();
    if (type === null) return null;
    this.#entries = this.reading.map(this.node, `a channel of type ${type}`, ['type', ...KEYS[type]]);
    const { name } = this;
    switch (type) {
      case 'email':
        return this.#email();
      case 'slack': {
        const url = this.#secret('url');
        return url === null ? null : { name, type, url, ...this.#web() };
      }
      case 'pagerduty': {
        const key = this.#secret('key');
        const web = this.#web();
        const url = this.#entries.has('url') ? this.#url(web.addresses) : PAGERDUTY;
        return key === null || url === null ? null : { name, type, key, url, ...web };
      }
      case 'webhook': {
        const web = this.#web();
        const url = this.#isSecret('url') ? this.#secret('url') : this.#url(web.addresses);
        const secret = this.#secret('secret');
        return url === null || secret === null ? null : { name, type, url, secret, ...web };
      }
      case 'command': {
        const command = this.#command();
        return command === null ? null : { name, type, command };
      }
      case 'desktop':
        return { name, type };
    }
  }

  /** Looked at before the other keys, which depend on it. */
  #type(): ChannelConfig['type'] | null {
    const { reading, node, name } = this;
    if (!isMap(node))
      return reading.problem(
        node,
        `channel ${name} is a mapping of keys to values`,
        'Such as { type: slack, url: env:SLACK_URL }',
      );
    const pair = node.items.find(({ key }) => isScalar(key) && key.value === 'type');
    if (pair === undefined)
      return reading.problem(
        node,
        `channel ${name} has no type`,
        `Add type: with one of ${TYPES.join(', ')}.`,
      );
    if (pair.value === null) return reading.problem(node, "'type' has no value");
    return reading.choice(pair.value as Node, 'type of channel', TYPES);
  }

  #email(): EmailChannel | null {
    const { reading, name } = this;
    const found = reading.problems.length;
    const server = this.#server();
    const security = this.#choice() ?? (server?.port === PORTS.tls ? 'tls' : 'starttls');
    const username = this.#text('username');
    const password = this.#entries.has('password') ? this.#secret('password') : null;
    const from = this.#required('from');
    const sender = from === null ? null : this.#mailAddress(from.node);
    const to = this.#items('to', (node) => this.#mailAddress(node));
    const ca = this.#ca();
    if (reading.problems.length > found || server === null || sender === null) return null;
    if ((username === null) !== (password === null))
      return reading.problem(
        this.node,
        `channel ${name} has only one of username and password`,
        'Give both or neither.',
      );
    if (password !== null && security === 'none')
      return reading.problem(
        this.node,
        `channel ${name} would send its password unencrypted`,
        'Write security: starttls, or tls.',
      );
    const port = server.port ?? PORTS[security];
    return {
      name,
      type: 'email',
      host: server.host,
      port,
      security,
      username,
      password,
      ca,
      from: sender,
      to,
    };
  }

  #choice(): EmailChannel['security'] | null {
    const entry = this.#entries.get('security');
    return entry === undefined
      ? null
      : this.reading.choice(entry.node, 'security', ['tls', 'starttls', 'none']);
  }

  #server(): { host: string; port: number | null } | null {
    const entry = this.#required('server');
    const text = entry === null ? null : this.reading.text(entry.node, 'the server');
    if (text === null) return null;
    const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
    const host = parseHost(bracketed ?? plain ?? '');
    const port = digits === undefined ? null : Number(digits);
    const fits = bracketed === undefined || (host?.kind === 'address' && host.address.family === 6);
    if (host !== null && fits && (port === null || (port >= 1 && port <= 65_535)))
      return { host: host.kind === 'name' ? host.name : host.address.text, port };
    return this.reading.problem(
      entry!.node,
      'the server is no host, with or without a port',
      'Such as smtp.example.com or smtp.example.com:465',
    );
  }

  #web(): { addresses: readonly string[]; ca: string | null } {
    const addresses = this.#items('addresses', (node) => {
      const range = parseRange(this.reading.text(node, 'an address or range') ?? '');
      if (range !== null && mappedRange(range) === null) return rangeText(range);
      return this.reading.problem(node, 'this is not an address or range', 'Such as 10.0.0.0/8.');
    });
    return { addresses, ca: this.#ca() };
  }

  #url(addresses: readonly string[]): string | null {
    const entry = this.#required('url');
    const text = entry === null ? null : this.reading.raw(entry.node, 'the URL');
    if (text === null) return null;
    const problem = channelUrlProblem(text, addresses);
    return problem === null ? text : this.reading.problem(entry!.node, `the URL cannot be used: ${problem}`);
  }

  #command(): [string, ...string[]] | null {
    const entry = this.#required('command');
    if (entry === null) return null;
    const words = this.#items('command', (node) => this.reading.prose(node, 'a word of the command'));
    const [program, ...rest] = words;
    if (program?.startsWith('/') && words.every((word) => !word.includes('\0'))) return [program, ...rest];
    return this.reading.problem(
      entry.node,
      'a command begins with the absolute path of a program',
      'Such as command: [/usr/local/bin/page, --quiet]',
    );
  }

  #ca(): string | null {
    const entry = this.#entries.get('ca');
    const text = entry === undefined ? null : this.reading.text(entry.node, 'a path');
    if (text === null || text.startsWith('/')) return text;
    return this.reading.problem(entry!.node, "'ca' is an absolute path");
  }

  #isSecret(key: string): boolean {
    const value = this.#entries.get(key)?.node;
    return isScalar(value) && /^(env|file):/.test(String(value.value));
  }

  #secret(key: string): Secret | null {
    const entry = this.#required(key);
    const text = entry === null ? null : this.reading.raw(entry.node, `'${key}'`);
    if (text === null) return null;
    const [, variable, file] = /^(?:env:([A-Za-z_][A-Za-z0-9_]*)|file:(\/[^\0\r\n]+))$/.exec(text) ?? [];
    if (variable !== undefined) return { env: variable };
    if (file !== undefined) return { file };
    const fix = /^(env|file):/.test(text)
      ? 'Write env: and the name of a variable, or file: and an absolute path.'
      : `Write ${key}: env:NAME or ${key}: file:/PATH, and change the secret if others can read this file.`;
    return this.reading.problem(entry!.node, `'${key}' is a secret, and secrets are only named here`, fix);
  }

  #mailAddress(node: Node): string | null {
    const text = this.reading.text(node, 'an e-mail address');
    if (text === null || isMailAddress(text)) return text;
    return this.reading.problem(node, 'this is not an e-mail address', 'Such as security@example.com');
  }

  #text(key: string): string | null {
    const entry = this.#entries.get(key);
    const text = entry === undefined ? null : this.reading.text(entry.node, `'${key}'`);
    if (text === null || /^[^\0-\x1f\x7f]{1,256}$/.test(text)) return text;
    return this.reading.problem(entry!.node, `'${key}' is one line of text`);
  }

  /** One or a list. */
  #items<T>(key: string, read: (node: Node) => T | null): T[] {
    const entry = this.#entries.get(key);
    if (entry === undefined) return [];
    const nodes = isScalar(entry.node) ? [entry.node] : this.reading.list(entry, `${key}: […]`);
    if (nodes.length > MOST_ITEMS)
      this.reading.problem(entry.node, `'${key}' has at most ${MOST_ITEMS} items`);
    return nodes
      .slice(0, MOST_ITEMS)
      .map(read)
      .filter((item) => item !== null);
  }

  #required(key: string): Entry | null {
    return (
      this.#entries.get(key) ??
      this.reading.problem(this.node, `channel ${this.name} has no ${key}`, `Add ${key}: to it.`)
    );
  }
}
