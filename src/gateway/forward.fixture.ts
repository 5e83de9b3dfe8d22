/** For tests of forwarded requests. */
import type { End } from './gateway.fixture.ts';
import { origin, policyOf } from './gateway.fixture.ts';
import { proxied } from './proxy.fixture.ts';

/** A request with an absolute target. `more`: further lines, each with its CR LF. */
export const ask = (host: string, path = '/', more = '', method = 'GET', version = '1.1') =>
  `${method} http://${host}${path} HTTP/${version}\r\nHost: ${host}\r\n${more}\r\n`;

export const ok = (body = 'hello', more = '') =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;

/** Answers every head with `answer`, and closes when the other side does. */
export function answering(answer: string | ((head: string, nth: number) => string)) {
  let nth = 0;
  return origin((end) => {
    void answerAll(end);
    void end.untilEnded().then(() => end.socket.end());
  });

  async function answerAll(end: End): Promise<void> {
    for (let at = 0; ; ) {
      await end.until(() => end.text.indexOf('\r\n\r\n', at) !== -1 || end.ending !== null);
      const headEnd = end.text.indexOf('\r\n\r\n', at);
      if (headEnd === -1) return;
      const head = end.text.slice(at, headEnd + 4);
      at = headEnd + 4;
      const line = /[A-Z]+ \S* HTTP\/1\.1\r\n/.exec(head);
      if (line === null) continue;
      const said = typeof answer === 'string' ? answer : answer(head.slice(line.index), nth++);
      end.send(line[0].startsWith('HEAD') ? said.slice(0, said.indexOf('\r\n\r\n') + 4) : said);
    }
  }
}

/** A proxy for one origin, which every name leads to. */
export function forwarding(
  policy: string,
  server: { port: number },
  more: Partial<Parameters<typeof proxied>[0]> = {},
) {
  const proxy = proxied({ policy, originPort: server.port, ...more });
  const change = (text: string) => {
    proxy.state.policy = policyOf(text);
    proxy.gateway.rejudge();
  };
  return { ...proxy, change };
}
