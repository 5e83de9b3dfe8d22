/** Node's own parser, llhttp, which tests hold ours against, and what tests need to compare the two. */
import { type Body, createBodyReader } from './body.ts';

/** One message as llhttp read it. `target` and `method` are a request's, `status` is a response's. */
export interface HeardMessage {
  method: string;
  target: string;
  status: number;
  /** `1.1` */
  version: string;
  /** Names as they came. */
  headers: [name: string, value: string][];
  /** One character an octet. */
  body: string;
}

interface Parser {
  [callback: number]: unknown;
  initialize(kind: number, owner: object): void;
  execute(bytes: Uint8Array): number | Error;
}
interface ParserClass {
  new (): Parser;
  REQUEST: number;
  RESPONSE: number;
  kOnMessageBegin: number;
  kOnHeadersComplete: number;
  kOnBody: number;
  kOnMessageComplete: number;
}
const { HTTPParser, allMethods } = (
  process as unknown as { binding(name: string): { HTTPParser: ParserClass; allMethods: string[] } }
).binding('http_parser');

/** The methods that llhttp knows. */
export const METHODS: readonly string[] = allMethods;

/** Reads a stream of messages, given to it piece by piece. A piece answers false once the stream is broken. */
export function readingByLlhttp(
  kind: 'REQUEST' | 'RESPONSE',
  told: { begun?: () => void; complete: (message: HeardMessage) => void },
): (bytes: Uint8Array) => boolean {
  let message: HeardMessage;
  const parser = new HTTPParser();
  parser.initialize(HTTPParser[kind], {});
  parser[HTTPParser.kOnMessageBegin] = () => told.begun?.();
  parser[HTTPParser.kOnHeadersComplete] = (...seen: [number, number, string[], number, string, number]) => {
    const [major, minor, fields, method, target, status] = seen;
    const headers: HeardMessage['headers'] = [];
    for (let i = 0; i < fields.length; i += 2) headers.push([fields[i]!, fields[i + 1]!]);
    message = {
      ...{ method: allMethods[method]!, target, status },
      ...{ version: `${major}.${minor}`, headers, body: '' },
    };
  };
  parser[HTTPParser.kOnBody] = (part: Uint8Array) => {
    message.body += Buffer.from(part).toString('latin1');
  };
  parser[HTTPParser.kOnMessageComplete] = () => told.complete(message);
  let isBroken = false;
  return (bytes) => {
    if (isBroken) return false;
    try {
      const read = parser.execute(Buffer.from(bytes));
      isBroken = typeof read !== 'number' || read < 0;
    } catch {
      isBroken = true;
    }
    return !isBroken;
  };
}

/** The whole messages in `bytes`, up to an error. */
export function readByLlhttp(bytes: Uint8Array, kind: 'REQUEST' | 'RESPONSE'): HeardMessage[] {
  const messages: HeardMessage[] = [];
  readingByLlhttp(kind, { complete: (message) => messages.push(message) })(bytes);
  return messages;
}

/** The content of a body that our reader finds whole, and where it ends; null where it does not. */
export function contentOf(body: Body, bytes: Uint8Array): { text: string; end: number } | null {
  const progress = createBodyReader(body).push(bytes);
  if (progress.state !== 'done') return null;
  const text = Buffer.from(bytes.subarray(0, progress.consumed)).toString('latin1');
  if (body.kind !== 'chunked') return { text, end: progress.consumed };
  let content = '';
  for (let at = 0; ; ) {
    const size = Number.parseInt(text.slice(at), 16);
    if (size === 0) return { text: content, end: progress.consumed };
    const data = text.indexOf('\r\n', at) + 2;
    content += text.slice(data, data + size);
    at = data + size + 2;
  }
}
