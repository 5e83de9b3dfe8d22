/** A headless Chromium, driven by its own protocol: there is no other way to give it a name and token for a proxy. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { linesOf } from './lines.ts';

const CHROMIUM = Bun.which('chromium') ?? Bun.which('chromium-browser') ?? Bun.which('google-chrome');

export const hasBrowser = CHROMIUM !== null;

export interface Page {
  /** What a person reads there. */
  text: string;
  /** Such as `net::ERR_TUNNEL_CONNECTION_FAILED`; empty where a page came. */
  error: string;
}

export interface Browser {
  /** In a profile of its own. Without a login it gives up when asked for one. */
  visit(url: string, proxy: string, login?: { username: string; password: string }): Promise<Page>;
  close(): Promise<void>;
}

interface Message {
  id?: number;
  sessionId?: string;
  method?: string;
  params?: Record<string, unknown>;
  /** Of all that is called here, every answer has some of these. */
  result?: Record<'browserContextId' | 'targetId' | 'sessionId' | 'errorText', string> & {
    result: { value: string };
  };
  error?: { message: string };
}

/** `folder` has to be there. No certificate is checked: the proxies are what is looked at. */
export async function openBrowser(folder: string, environment: Record<string, string>): Promise<Browser> {
  const home = join(folder, 'browser');
  mkdirSync(home);
  const child = Bun.spawn(
    [
      CHROMIUM!,
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ...['--ignore-certificate-errors', '--remote-debugging-port=0', `--user-data-dir=${home}`],
      // What it does on its own goes nowhere.
      '--proxy-server=http://127.0.0.1:9',
      'about:blank',
    ],
    { env: { ...environment, HOME: home }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const lines = linesOf(child.stderr);
  const said = await lines.until('DevTools listening on ');
  lines.until('\0').catch(() => {}); // nobody listens, but it must not have to wait
  const socket = new WebSocket(/ws:\S+/.exec(said)![0]);
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  let last = 0;
  const waiting = new Map<number, (message: Message) => void>();
  const hearers = new Map<string, (message: Message) => void>();
  const call = async (method: string, params: object, sessionId?: string) => {
    const id = ++last;
    const answer = new Promise<Message>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params, sessionId }));
    const { result, error } = await answer;
    if (result === undefined) throw new Error(`${method}: ${error?.message}`);
    return result;
  };
  socket.addEventListener('message', ({ data }) => {
    const message: Message = JSON.parse(String(data));
    if (message.id !== undefined) waiting.get(message.id)?.(message);
    else if (message.sessionId !== undefined) hearers.get(message.sessionId)?.(message);
  });
  return {
    async visit(url, proxyServer, login) {
      const { browserContextId } = await call('Target.createBrowserContext', { proxyServer });
      const { targetId } = await call('Target.createTarget', { url: 'about:blank', browserContextId });
      const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
      const loaded = Promise.withResolvers<void>();
      hearers.set(sessionId, ({ method, params }) => {
        const requestId = params?.requestId;
        if (method === 'Page.loadEventFired') loaded.resolve();
        const say = (method: string, more = {}) =>
          call(method, { requestId, ...more }, sessionId).catch(() => {}); // the page is closed
        if (method === 'Fetch.requestPaused') void say('Fetch.continueRequest');
        if (method === 'Fetch.authRequired') {
          const authChallengeResponse =
            login === undefined ? { response: 'CancelAuth' } : { response: 'ProvideCredentials', ...login };
          void say('Fetch.continueWithAuth', { authChallengeResponse });
        }
      });
      await call('Page.enable', {}, sessionId);
      await call('Fetch.enable', { handleAuthRequests: true }, sessionId);
      const { errorText } = await call('Page.navigate', { url }, sessionId);
      await loaded.promise;
      const expression = 'document.body.innerText';
      const { result } = await call('Runtime.evaluate', { expression }, sessionId);
      await call('Target.disposeBrowserContext', { browserContextId });
      return { text: result.value, error: errorText ?? '' };
    },
    async close() {
      socket.close();
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}
