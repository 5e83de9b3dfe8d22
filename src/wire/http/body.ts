/**
 * Where the body of a message ends in the stream (RFC 9112 sections 6.3 and 7.1). It looks, it keeps nothing: what
 * comes an octet at a time is passed on an octet at a time, so the first octet that cannot be right is the last.
 */
import { type Field, HEAD_LIMITS, readFields } from './fields.ts';
import { readFraming } from './framing.ts';
import { writeTrailer } from './passing.ts';

export type Body =
  | { kind: 'none' }
  | { kind: 'length'; length: number }
  | { kind: 'chunked' }
  /** Responses only: the body ends with the connection. */
  | { kind: 'until-close' };

type BodyProgress =
  | { state: 'more'; consumed: number }
  /** `consumed`: octets of this push that belong to the body; what follows is the next message. */
  | { state: 'done'; consumed: number }
  /** Nothing of this push may be passed on. The reader stays in this state. */
  | { state: 'malformed'; detail: string };

export interface BodyReader {
  /**
   * Takes the next bytes of the stream. Push nothing to learn whether the body is empty. `onward` gets what may be sent
   * on of them: all, but no chunk extensions and only those fields of a trailer that concern whoever reads it.
   */
  push(bytes: Uint8Array, onward?: Uint8Array[]): BodyProgress;
}

const HTAB = 9;
const LF = 10;
const CR = 13;
const SEMICOLON = 59;
/** Octets of one chunk's size line. Extensions are rare and short; long ones are an attack on who buffers. */
const SIZE_LINE_MAX = 256;
/** RFC 9112 section 7.1.1, without the white space that it tells recipients to remove. */
const EXTENSIONS = /^(;[\w!#$%&'*+.^`|~-]+(=([\w!#$%&'*+.^`|~-]+|"([\t !#-[\]-~]|\\[\t -~])*"))?)+$/;
/** 2^48 octets a chunk. */
const SIZE_DIGITS_MAX = 12;
const TRAILER_MAX = 8_192;

/** `bare`: of chunks only what is in them is sent on, for a recipient that knows no chunks (HTTP/1.0). */
export function createBodyReader(body: Body, bare = false): BodyReader {
  if (body.kind === 'chunked') return createChunkedReader(bare);
  let left = body.kind === 'length' ? body.length : body.kind === 'none' ? 0 : Number.POSITIVE_INFINITY;
  return {
    push(bytes, onward) {
      const consumed = Math.min(left, bytes.length);
      left -= consumed;
      if (consumed > 0) onward?.push(consumed === bytes.length ? bytes : bytes.subarray(0, consumed));
      return { state: left === 0 ? 'done' : 'more', consumed };
    },
  };
}

type Step =
  | 'size'
  | 'extension'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailer'
  | 'done'
  | 'malformed';

function createChunkedReader(bare: boolean): BodyReader {
  let step: Step = 'size';
  let detail = '';
  let size = 0;
  let digits = 0;
  let extension = '';
  let trailer: number[] = [];
  /** What goes on in place of the trailer. */
  let ending: Uint8Array = NOTHING;

  const fail = (what: string): Step => {
    detail = what;
    return 'malformed';
  };

  const afterSize = (octet: number): Step => {
    if (octet === CR) return 'size-lf';
    if (octet === SEMICOLON) {
      extension = ';';
      return 'extension';
    }
    return fail('a chunk size is not hexadecimal');
  };

  const readTrailer = (octet: number): Step => {
    trailer.push(octet);
    const length = trailer.length;
    if ((octet === LF) !== (trailer[length - 2] === CR)) return fail('a trailer line ends without CR LF');
    if (octet !== LF && octet !== CR && isControl(octet)) return fail('a trailer holds a control character');
    if (octet === LF && (length === 2 || trailer[length - 3] === LF)) {
      const fields = readTrailerFields(Uint8Array.from(trailer));
      trailer = [];
      if (typeof fields === 'string') return fail(fields);
      if (!bare) ending = Buffer.from(writeTrailer(fields), 'latin1');
      return 'done';
    }
    return length < TRAILER_MAX ? 'trailer' : fail('the trailer is too long');
  };

  const take = (octet: number): Step => {
    switch (step) {
      case 'size': {
        const digit = hexDigit(octet);
        if (digit === -1) return digits === 0 ? fail('a chunk size is missing') : afterSize(octet);
        if (++digits > SIZE_DIGITS_MAX) return fail('a chunk size is too large');
        size = size * 16 + digit;
        return 'size';
      }
      case 'extension':
        if (octet === CR)
          return EXTENSIONS.test(extension) ? 'size-lf' : fail('a chunk extension is malformed');
        if (isControl(octet)) return fail('a chunk extension holds a control character');
        extension += String.fromCharCode(octet);
        return extension.length <= SIZE_LINE_MAX ? 'extension' : fail('a chunk extension is too long');
      case 'size-lf':
        if (octet !== LF) return fail('a chunk size line ends without CR LF');
        return size === 0 ? 'trailer' : 'data';
      case 'data-cr':
        return octet === CR ? 'data-lf' : fail('a chunk is longer than its size');
      case 'data-lf':
        if (octet !== LF) return fail('a chunk ends without CR LF');
        digits = 0;
        return 'size';
      default:
        return readTrailer(octet);
    }
  };

  const passes = bare
    ? (which: Step) => which === 'data'
    : (which: Step) => which !== 'extension' && which !== 'trailer';

  return {
    push(bytes, onward) {
      let at = 0;
      /** From where on bytes go on that have not been handed to `onward` yet; -1 where they do not. */
      let from = passes(step) ? 0 : -1;
      while (at < bytes.length && step !== 'done' && step !== 'malformed') {
        if (step === 'data') {
          const skipped = Math.min(size, bytes.length - at);
          at += skipped;
          size -= skipped;
          if (size === 0) step = 'data-cr';
        } else step = take(bytes[at++]!);
        if (onward === undefined || passes(step) === from >= 0) continue;
        // The octet that ended a size or an extension was a delimiter: only of an extension it is still wanted.
        const start = step === 'size-lf' ? at - 1 : at;
        const end = step === 'extension' ? at - 1 : at;
        if (from >= 0 && end > from) onward.push(bytes.subarray(from, end));
        from = from >= 0 ? -1 : start;
      }
      if (step === 'malformed') return { state: 'malformed', detail };
      if (onward !== undefined) {
        if (from >= 0 && at > from) onward.push(bytes.subarray(from, at));
        if (ending.length > 0) onward.push(ending);
        ending = NOTHING;
      }
      return { state: step === 'done' ? 'done' : 'more', consumed: at };
    },
  };
}

/** A trailer is checked like a head, and may not say what only a head may (RFC 9110 section 6.5.1). */
function readTrailerFields(bytes: Uint8Array): Field[] | string {
  const fields = readFields(bytes, 0, bytes.length, HEAD_LIMITS.fields);
  if (typeof fields === 'string') return fields;
  const framing = readFraming(fields, 'client');
  if (typeof framing === 'string') return framing;
  return framing.chunked || framing.length !== null || framing.hosts.length > 0
    ? 'a trailer frames or routes the message'
    : fields;
}

const NOTHING = new Uint8Array(0);
const isControl = (octet: number) => (octet < 0x20 && octet !== HTAB) || octet === 0x7f;

function hexDigit(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
