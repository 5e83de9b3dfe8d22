/**
 * Port 80 of the reserved name `clawctl.internal`: the gateway itself answers, and tells a session what was
 * refused to it. TLS clients show no more than "access denied"; here the reason can be read.
 */
import type { Socket, SocketHandler } from '../net/socket.ts';
import { HEAD_LIMITS } from '../wire/http/fields.ts';
import { parseRequestHead, type RequestHead } from '../wire/http/head.ts';
import { Gathered } from './gathered.ts';
import { httpResponse, wantsJson } from './refusal.ts';
import type { Session } from './session.ts';

export const INTERNAL_NAME = 'clawctl.internal';

/** Answers one request and closes. Whoever started it sets a time limit. */
export class InternalAnswer implements SocketHandler {
  #held = new Gathered();
  #answered = false;

  constructor(
    private readonly socket: Socket,
    private readonly session: Session,
    private readonly onFinished: () => void,
  ) {
    socket.handler = this;
  }

  onData(_socket: Socket, bytes: Uint8Array): void {
    if (this.#answered) return;
    this.#held.push(bytes);
    const parsed = parseRequestHead(this.#held.bytes, HEAD_LIMITS);
    if (parsed.state === 'more') return;
    this.#answered = true;
    const answer =
      parsed.state === 'value' ? internalAnswer(parsed.value, this.session) : plain('400 Bad Request');
    this.socket.write(answer);
    this.socket.end();
  }

  /** The time is up. */
  reset(): void {
    this.socket.reset();
  }

  onDrain(): void {}

  onEnd(): void {
    this.socket.end();
  }

  onClose(): void {
    this.onFinished();
  }
}

/** What the reserved name answers to one request. `close`: the connection ends with it. */
export function internalAnswer(head: RequestHead, session: Session, close = true): Uint8Array {
  const { host, method } = head;
  const isOurs =
    host !== null && host.name.toLowerCase().replace(/\.$/, '') === INTERNAL_NAME && (host.port ?? 80) === 80;
  if (!isOurs) return plain('421 Misdirected Request', close);
  if (method !== 'GET' && method !== 'HEAD') return plain('405 Method Not Allowed', close);
  if (head.target.split('?')[0] !== '/' && head.form === 'origin') return plain('404 Not Found', close);
  const json = wantsJson(headerOf(head, 'accept'));
  const text = json ? session.refusalsJson() : session.refusalsText();
  return httpResponse('200 OK', { json, text }, method === 'HEAD', '', close);
}

/** The first header of that name (in lower case). */
export function headerOf(head: RequestHead, name: string): string | undefined {
  return head.headers.find(([sent]) => sent.toLowerCase() === name)?.[1];
}

function plain(status: string, close = true): Uint8Array {
  return httpResponse(status, { json: false, text: `${status}\n` }, false, '', close);
}
