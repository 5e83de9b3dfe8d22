/**
 * DNS over HTTPS (RFC 8484), by POST. It goes where the policy says and nowhere else: no redirect is followed,
 * no proxy of the environment is used, and the certificate is verified whatever the environment says.
 */
import { type AddressType, type Asked, parseAnswer, writeQuery } from '../wire/dns/lookup.ts';
import { askBoth, type Found, foundIn, type Upstream } from './upstream.ts';

const MEDIA_TYPE = 'application/dns-message';
/** Milliseconds for question and answer. */
const TIMEOUT = 4_000;
const ANSWER_MAX = 65_535;

/** Bun's own options for fetch; `proxy: false` is missing from its types. */
type DirectInit = Omit<BunFetchRequestInit, 'proxy'> & { proxy: false };

export function createHttpsUpstream(url: string, timeout = TIMEOUT): Upstream {
  return askBoth(async (name, type) => {
    try {
      return await ask(url, name, type, timeout);
    } catch (error) {
      return { ok: false, detail: detailOf(error) };
    }
  });
}

async function ask(url: string, name: string, type: AddressType, timeout: number): Promise<Found> {
  // RFC 8484 section 4.1: id 0, since the channel belongs to the question and equal questions can be cached.
  const asked: Asked = { id: 0, name, type };
  const init: DirectInit = {
    method: 'POST',
    body: writeQuery(asked),
    headers: {
      accept: MEDIA_TYPE,
      'content-type': MEDIA_TYPE,
      'accept-encoding': 'identity',
      'user-agent': 'clawctl',
    },
    redirect: 'manual',
    decompress: false,
    credentials: 'omit',
    signal: AbortSignal.timeout(timeout),
    tls: { rejectUnauthorized: true },
    proxy: false,
  };
  const response = await fetch(url, init as unknown as BunFetchRequestInit);
  if (response.status !== 200) return { ok: false, detail: `http status ${response.status}` };
  if (response.headers.get('content-type') !== MEDIA_TYPE)
    return { ok: false, detail: 'the answer is no DNS message' };
  const body = await readBounded(response, ANSWER_MAX);
  return body === null ? { ok: false, detail: 'the answer is too long' } : foundIn(parseAnswer(body, asked));
}

/** Null past `limit` octets, without reading on. */
async function readBounded(response: Response, limit: number): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > limit) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function detailOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  if (error.name === 'TimeoutError') return 'timeout';
  return (error as { code?: unknown }).code?.toString() ?? error.name;
}
