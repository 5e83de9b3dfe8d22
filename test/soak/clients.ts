/** Clients of every temper. Each says what was wrong, or null; what must break off and does is right. */
import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { FLOOD, MODE } from './origins.ts';

export interface Place {
  proxyPort: number;
  echoPort: number;
  httpPort: number;
}

const HOST = 'origin.test';
/** Milliseconds after which a client that waits says that it was left waiting. */
const LOST = 20_000;

/** A socket, all that it has heard, and how it ended. */
class Talk {
  readonly socket: Socket;
  heard = Buffer.alloc(0);
  ended = false;
  #parts: Buffer[] = [];
  #wake = () => {};

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const end = () => {
      this.ended = true;
      this.#wake();
    };
    for (const event of ['error', 'close', 'end']) this.socket.on(event, end);
    this.socket.on('data', (bytes) => {
      this.#parts.push(Buffer.from(bytes));
      this.#wake();
    });
  }

  /** Waits until it holds, or the other side has ended. */
  async until(holds: (heard: Buffer) => boolean): Promise<boolean> {
    const late = performance.now() + LOST;
    for (;;) {
      if (this.#parts.length > 0) this.heard = Buffer.concat([this.heard, ...this.#parts.splice(0)]);
      if (holds(this.heard)) return true;
      if (this.ended || performance.now() > late) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  untilEnd = () => this.until(() => this.ended && this.#parts.length === 0);

  async write(octets: Uint8Array | string): Promise<void> {
    if (this.socket.destroyed || this.socket.write(octets)) return;
    await new Promise<void>((resolve) => {
      for (const event of ['drain', 'close']) this.socket.once(event, resolve);
    });
  }

  leave(): void {
    this.socket.destroy();
  }
}

/** A tunnel to the origin that echoes, by one way in or the other. */
async function tunnel({ proxyPort, echoPort }: Place): Promise<Talk | string> {
  const talk = new Talk(proxyPort);
  const bySocks = Math.random() < 0.5;
  if (bySocks) {
    const port = Buffer.of(echoPort >> 8, echoPort & 255);
    await talk.write(
      Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 3, HOST.length]), Buffer.from(HOST), port]),
    );
    if (await talk.until((heard) => heard.length >= 12)) {
      const granted = talk.heard[3] === 0;
      talk.heard = talk.heard.subarray(12);
      if (granted) return talk;
    }
  } else {
    await talk.write(`CONNECT ${HOST}:${echoPort} HTTP/1.1\r\nHost: ${HOST}:${echoPort}\r\n\r\n`);
    if (await talk.until((heard) => heard.includes('\r\n\r\n'))) {
      const granted = talk.heard.toString('latin1').startsWith('HTTP/1.1 200');
      talk.heard = talk.heard.subarray(talk.heard.indexOf('\r\n\r\n') + 4);
      if (granted) return talk;
    }
  }
  talk.leave();
  return `no tunnel by ${bySocks ? 'SOCKS5' : 'CONNECT'}: ${JSON.stringify(talk.heard.toString('latin1').slice(0, 100))}`;
}

const hashOf = (octets: Uint8Array) => createHash('sha256').update(octets).digest('hex');
const upTo = (most: number) => 1 + Math.floor(Math.random() ** 3 * most);

/** In pieces of any size, some of them after a while. */
async function sendInPieces(talk: Talk, octets: Buffer): Promise<void> {
  for (let at = 0; at < octets.length; ) {
    const size = upTo(100_000);
    await talk.write(octets.subarray(at, at + size));
    at += size;
    if (Math.random() < 0.05) await Bun.sleep(Math.random() * 20);
  }
}

type Client = (place: Place) => Promise<string | null>;

const through =
  (act: (talk: Talk) => Promise<string | null>): Client =>
  async (place) => {
    const talk = await tunnel(place);
    if (typeof talk === 'string') return talk;
    const wrong = await act(talk);
    talk.leave();
    return wrong;
  };
const http =
  (act: (talk: Talk, place: Place) => Promise<string | null>): Client =>
  async (place) => {
    const talk = new Talk(place.proxyPort);
    const wrong = await act(talk, place);
    talk.leave();
    return wrong;
  };
const head = ({ httpPort }: Place, method: string, path: string, more = '') =>
  `${method} http://${HOST}:${httpPort}${path} HTTP/1.1\r\nHost: ${HOST}:${httpPort}\r\n${more}\r\n`;

/** The body of the answer at the beginning of `heard`, and where it ends; null while it is not complete. */
function answerIn(heard: Buffer, ended: boolean): { status: number; body: Buffer; end: number } | null {
  const headEnd = heard.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const text = heard.toString('latin1', 0, headEnd);
  const status = Number(text.slice(9, 12));
  const start = headEnd + 4;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
  if (length !== undefined) {
    const end = start + Number(length);
    return heard.length < end ? null : { status, body: heard.subarray(start, end), end };
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(text))
    return ended ? { status, body: heard.subarray(start), end: heard.length } : null;
  const parts: Buffer[] = [];
  for (let at = start; ; ) {
    const line = heard.indexOf('\r\n', at);
    if (line === -1) return null;
    const size = Number.parseInt(heard.toString('latin1', at, line), 16);
    const end = line + 2 + size + 2;
    if (heard.length < end) return null;
    if (size === 0) return { status, body: Buffer.concat(parts), end };
    parts.push(heard.subarray(line + 2, line + 2 + size));
    at = end;
  }
}

const CLIENTS: Record<string, [weight: number, client: Client]> = {
  'echo and hash': [
    10,
    through(async (talk) => {
      const octets = randomBytes(upTo(2_000_000));
      octets[0] = MODE.echo;
      const sending = sendInPieces(talk, octets);
      await talk.until((heard) => heard.length >= octets.length);
      await sending;
      return hashOf(talk.heard) === hashOf(octets)
        ? null
        : `${talk.heard.length} of ${octets.length} octets came back`;
    }),
  ],
  'half-close': [
    6,
    through(async (talk) => {
      const octets = randomBytes(upTo(500_000));
      octets[0] = MODE.answerAtEnd;
      await sendInPieces(talk, octets);
      talk.socket.end();
      await talk.untilEnd();
      return talk.heard.toString() === hashOf(octets)
        ? null
        : `the hash differs: ${talk.heard.length} octets`;
    }),
  ],
  'download by a slow reader': [
    2,
    through(async (talk) => {
      await talk.write(Buffer.of(MODE.flood));
      for (let i = 0; i < 10; i++) {
        talk.socket.pause();
        await Bun.sleep(Math.random() * 40);
        talk.socket.resume();
        await Bun.sleep(1);
      }
      await talk.untilEnd();
      return talk.heard.length === FLOOD ? null : `${talk.heard.length} octets of the flood`;
    }),
  ],
  'leaves in the middle': [
    6,
    through(async (talk) => {
      await talk.write(
        Buffer.concat([Buffer.of(Math.random() < 0.5 ? MODE.flood : MODE.echo), randomBytes(upTo(100_000))]),
      );
      await Bun.sleep(Math.random() * 10);
      if (Math.random() < 0.5) talk.socket.resetAndDestroy();
      return null;
    }),
  ],
  'an origin that breaks off': [
    4,
    through(async (talk) => {
      await talk.write(Buffer.concat([Buffer.of(MODE.breakOff), randomBytes(60_000)]));
      await talk.untilEnd();
      return talk.ended ? null : 'the break was not passed on';
    }),
  ],
  'an origin that stalls': [
    2,
    through(async (talk) => {
      await talk.write(Buffer.of(MODE.stall));
      await Bun.sleep(Math.random() * 300);
      return talk.ended ? 'it was cut' : null;
    }),
  ],
  'downloads on one connection': [
    8,
    http(async (talk, place) => {
      for (let i = 0; i < 3; i++) {
        const count = 3 * upTo(100_000) + (i === 2 ? upTo(2) : 0);
        await talk.write(head(place, 'GET', `/bytes/${count}`));
        await talk.until((heard) => answerIn(heard, talk.ended) !== null);
        const answer = answerIn(talk.heard, talk.ended);
        if (answer?.status !== 200 || answer.body.length !== count)
          return `${answer?.status} ${answer?.body.length} of ${count}`;
        if (answer.body.some((octet) => octet !== count % 251)) return 'other octets';
        talk.heard = talk.heard.subarray(answer.end);
      }
      return null;
    }),
  ],
  'uploads, with a length or in chunks': [
    8,
    http(async (talk, place) => {
      for (let i = 0; i < 2; i++) {
        const octets = randomBytes(upTo(500_000));
        const chunked = Math.random() < 0.5;
        await talk.write(
          head(
            place,
            'POST',
            '/',
            chunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${octets.length}\r\n`,
          ),
        );
        if (chunked) {
          for (let at = 0; at < octets.length; at += 30_000) {
            const part = octets.subarray(at, at + 30_000);
            await talk.write(
              Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]),
            );
          }
          await talk.write('0\r\n\r\n');
        } else await sendInPieces(talk, octets);
        await talk.until((heard) => answerIn(heard, talk.ended) !== null);
        const answer = answerIn(talk.heard, talk.ended);
        if (answer?.body.toString() !== hashOf(octets)) return `${answer?.status}: the hash differs`;
        talk.heard = talk.heard.subarray(answer.end);
      }
      return null;
    }),
  ],
  'requests all at once': [
    3,
    http(async (talk, place) => {
      await talk.write(head(place, 'GET', '/bytes/3').repeat(20));
      let answers = 0;
      for (; answers < 20; answers++) {
        await talk.until((heard) => answerIn(heard, talk.ended) !== null);
        const answer = answerIn(talk.heard, talk.ended);
        if (answer === null) break;
        talk.heard = talk.heard.subarray(answer.end);
      }
      return answers === 20 ? null : `${answers} of 20 answers`;
    }),
  ],
  'what no rule allows': [
    6,
    http(async (talk) => {
      const how = Math.random();
      const name = `h${upTo(500)}.evil.test`;
      if (how < 0.3) await talk.write(`CONNECT ${name}:443 HTTP/1.1\r\nHost: ${name}:443\r\n\r\n`);
      else if (how < 0.6)
        await talk.write(`GET http://${name}/ HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
      else {
        const host = Buffer.from(name);
        await talk.write(
          Buffer.concat([Buffer.of(5, 1, 0, 5, 1, 0, 3, host.length), host, Buffer.of(1, 187)]),
        );
        await talk.until((heard) => heard.length >= 4);
        return talk.heard[3] === 2 ? null : `SOCKS5 said ${talk.heard[3]}`;
      }
      await talk.until((heard) => heard.includes('\r\n\r\n'));
      return talk.heard.toString('latin1').startsWith('HTTP/1.1 403') ? null : 'it was not refused';
    }),
  ],
  noise: [
    4,
    http(async (talk) => {
      await talk.write(randomBytes(upTo(5_000)));
      await talk.untilEnd();
      return talk.ended ? null : 'noise was left standing';
    }),
  ],
  'half a head, or nothing': [
    2,
    http(async (talk) => {
      if (Math.random() < 0.7) await talk.write('GET http://origin.test/ HTTP/1.1\r\nHo');
      if (Math.random() < 0.5) await talk.untilEnd();
      return null;
    }),
  ],
  'a head without an end': [
    1,
    http(async (talk) => {
      await talk.write(`GET http://origin.test/ HTTP/1.1\r\n${'X-A: b\r\n'.repeat(30_000)}`);
      await talk.until((heard) => heard.includes('\r\n\r\n'));
      return null;
    }),
  ],
};

const TOTAL = Object.values(CLIENTS).reduce((sum, [weight]) => sum + weight, 0);

export interface Tally {
  done: number;
  wrong: string[];
}

/** So many clients at a time, one after the other, until told to stop. */
export function keepTalking(place: Place, parallel: number): { tally: Tally; stop(): Promise<void> } {
  const tally: Tally = { done: 0, wrong: [] };
  let stopped = false;
  const one = async () => {
    while (!stopped) {
      let left = Math.random() * TOTAL;
      for (const [title, [weight, client]] of Object.entries(CLIENTS)) {
        left -= weight;
        if (left > 0) continue;
        const wrong = await client(place).catch((error: unknown) => String(error));
        tally.done++;
        if (wrong !== null && tally.wrong.length < 20) tally.wrong.push(`${title}: ${wrong}`);
        break;
      }
    }
  };
  const all = Array.from({ length: parallel }, one);
  return {
    tally,
    async stop() {
      stopped = true;
      await Promise.all(all);
    },
  };
}
