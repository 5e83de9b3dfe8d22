/** Receivers of messages on loopback: web servers that behave as told, and mail servers. */
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export interface Received {
  headers: Record<string, string>;
  body: string;
}

export interface Receiver {
  url: string;
  received: Received[];
  close(): void;
}

/** Answers the n-th request, from 0, with what `answer` says: a response, or `hang`, or `cut`. */
export function openReceiver(
  answer: (count: number) => string | 'hang' | 'cut' = () => '204 No Content',
): Receiver {
  const received: Received[] = [];
  const listener = Bun.listen<{ text: string }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: '' };
      },
      data(socket, bytes) {
        socket.data.text += bytes.toString('utf8');
        const [head, body] = socket.data.text.split('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(head!)?.[1]);
        if (body === undefined || Buffer.byteLength(body) < length) return;
        const fields = head!
          .split('\r\n')
          .slice(1)
          .map((line) => line.split(/: (.*)/s).slice(0, 2));
        const headers = Object.fromEntries(fields.map(([name, value]) => [name!.toLowerCase(), value!]));
        const how = answer(received.length);
        received.push({ headers, body });
        if (how === 'hang') return;
        if (how === 'cut') socket.terminate();
        else socket.end(`HTTP/1.1 ${how.includes('\r\n') ? how : `${how}\r\nContent-Length: 0\r\n\r\n`}`);
      },
    },
  });
  return {
    url: `http://127.0.0.1:${listener.port}/hook?token=top-secret`,
    received,
    close: () => listener.stop(true),
  };
}

export interface Mail {
  from: string;
  to: string[];
  text: string;
}

export interface MailServer {
  port: number;
  mails: Mail[];
  close(): Promise<void>;
}

export async function openMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: options.key === undefined ? ['STARTTLS'] : [],
    onData(stream, session, done) {
      let text = '';
      stream.on('data', (part: Buffer) => {
        text += part.toString('utf8');
      });
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          text,
        });
        done();
      });
    },
    ...options,
  });
  server.on('error', () => {}); // a client that breaks off
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.server.address() as { port: number };
  return { port, mails, close: () => new Promise((closed) => server.close(() => closed())) };
}
