/**
 * What an origin answers to one request, as it goes on to the client: interim answers, the final head, the body. It
 * looks at the origin's bytes and does nothing else.
 */
import { type BodyReader, createBodyReader } from '../wire/http/body.ts';
import type { HeadLimits } from '../wire/http/fields.ts';
import type { RequestHead } from '../wire/http/head.ts';
import { writeResponseHead } from '../wire/http/passing.ts';
import { parseResponseHead, type ResponseHead } from '../wire/http/response.ts';
import { Gathered } from './gathered.ts';

/** What is asked when the final head is there, since it may then be another thing than before. */
export interface AnswerSituation {
  /** The answer has to wait: it stands in `rest`, and is looked at again with the next `push`. */
  isEarly(): boolean;
  /** The connection to the client ends with this answer, whatever the origin says. */
  isLast(): boolean;
}

/** `switched`: both go on in another protocol, beginning with `rest`. `done`: complete; `rest` is nobody's. */
export type AnswerState = 'more' | 'early' | 'switched' | 'done' | 'malformed';

/** More of them are an endless answer. */
const INTERIM_MAX = 32;
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');

export class ForwardAnswer {
  /** The final head has gone on. */
  begun = false;
  /** Nothing at all has come. */
  isEmpty = true;
  /** The connection to the client ends with this answer. */
  close = false;
  /** The connection to the origin does. */
  originCloses = false;
  /** The body ends where the connection does. */
  untilClose = false;
  /** Why it is malformed. */
  detail = '';
  readonly rest = new Gathered();
  #seen = 0;
  #interims = 0;
  #body: BodyReader | null = null;

  constructor(
    private readonly request: RequestHead,
    private readonly limits: HeadLimits,
    private readonly situation: AnswerSituation,
  ) {}

  /** The next bytes from the origin. `onward` gets what goes to the client; nothing of it may where it is malformed. */
  push(bytes: Uint8Array, onward: Uint8Array[]): AnswerState {
    this.isEmpty = false;
    if (this.#body === null) {
      if (bytes.length > 0) this.rest.push(bytes);
      return this.#readHeads(onward);
    }
    return this.#readBody(bytes, onward);
  }

  #readHeads(onward: Uint8Array[]): AnswerState {
    while (this.rest.length > 0) {
      const parsed = parseResponseHead(this.rest.bytes, this.request.method, this.limits, this.#seen);
      if (parsed.state === 'more') {
        this.#seen = this.rest.length;
        return 'more';
      }
      this.#seen = 0;
      if (parsed.state === 'malformed') return this.#malformed(parsed.detail);
      const head = parsed.value;
      if (!head.interim) {
        if (this.situation.isEarly()) return 'early';
        this.rest.drop(parsed.end);
        return this.#readFinal(head, onward);
      }
      this.rest.drop(parsed.end);
      if (++this.#interims > INTERIM_MAX) return this.#malformed('there are too many interim answers');
      this.#passInterim(head, onward);
    }
    return 'more';
  }

  /** HTTP/1.0 knows none; 100 is for who waits for it. */
  #passInterim(head: ResponseHead, onward: Uint8Array[]): void {
    const { version, expectContinue } = this.request;
    if (version === 0) return;
    if (head.status === 100) {
      if (expectContinue) onward.push(CONTINUE);
    } else onward.push(octets(writeResponseHead(head, { close: false, chunked: false })));
  }

  #readFinal(head: ResponseHead, onward: Uint8Array[]): AnswerState {
    if (head.status === 407) return this.#malformed('407 is for a proxy to say');
    if (head.status === 101) return this.#switch(head, onward);
    const { body } = head;
    const bare = this.request.version === 0;
    this.untilClose = body.kind === 'until-close';
    this.originCloses = head.close;
    this.close = this.untilClose || this.situation.isLast();
    this.#body = createBodyReader(body, bare);
    onward.push(
      octets(writeResponseHead(head, { close: this.close, chunked: body.kind === 'chunked' && !bare })),
    );
    const state = this.#readBody(this.rest.takeAll(), onward);
    this.begun = state !== 'malformed';
    return state;
  }

  /** The client has asked for it, and a rule allows it: then only the very same protocol will do. */
  #switch(head: ResponseHead, onward: Uint8Array[]): AnswerState {
    const { upgrade } = this.request;
    if (upgrade === null || head.upgrade !== upgrade || !head.connection.includes('upgrade'))
      return this.#malformed('the origin changes to another protocol than was asked for');
    this.begun = true;
    onward.push(octets(writeResponseHead(head, { close: false, chunked: false })));
    return 'switched';
  }

  #readBody(bytes: Uint8Array, onward: Uint8Array[]): AnswerState {
    const progress = this.#body!.push(bytes, onward);
    if (progress.state === 'malformed') return this.#malformed(progress.detail);
    if (progress.state === 'more') return 'more';
    if (progress.consumed < bytes.length) this.rest.push(bytes.subarray(progress.consumed));
    return 'done';
  }

  #malformed(detail: string): AnswerState {
    this.detail = detail;
    return 'malformed';
  }
}

const octets = (text: string) => Buffer.from(text, 'latin1');
