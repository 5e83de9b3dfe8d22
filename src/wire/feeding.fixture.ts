/** For tests: what a parser answers to every prefix of its input. */
import type { Parsed } from './parsed.ts';

type Parse<T> = (bytes: Uint8Array, seen: number) => Parsed<T>;

/**
 * The final answer, after checking that every shorter prefix answers `more`, that no longer one changes the
 * answer, and that telling the parser what it has seen changes nothing. `more` if none is final.
 */
export function answerOfEverySplit<T>(parse: Parse<T>, bytes: Uint8Array): Parsed<T> {
  let seen = 0;
  let final: Parsed<T> | null = null;
  for (let length = 0; length <= bytes.length; length++) {
    const prefix = bytes.slice(0, length);
    const answer = parse(prefix, 0);
    if (final === null) {
      const resumed = parse(prefix, seen);
      if (!Bun.deepEquals(resumed, answer))
        throw new Error(`resumed at ${seen}: ${show(resumed)}, not ${show(answer)}`);
      seen = length;
    }
    if (final !== null && !Bun.deepEquals(answer, final))
      throw new Error(`prefix ${length}: ${show(answer)} after ${show(final)}`);
    if (answer.state !== 'more') final = answer;
  }
  return final ?? { state: 'more' };
}

export const octets = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

/** `bytes` with what mutates it applied: a position and the octet to put there, or to cut out with null. */
export function mutate(bytes: Uint8Array, changes: ReadonlyArray<[number, number | null]>): Uint8Array {
  const list = [...bytes];
  for (const [position, octet] of changes) {
    const at = list.length === 0 ? 0 : position % list.length;
    list.splice(at, 1, ...(octet === null ? [] : [octet]));
  }
  return Uint8Array.from(list);
}

const show = (answer: unknown) => JSON.stringify(answer);
