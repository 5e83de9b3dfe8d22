/** One thing to be fuzzed: bytes or texts that nobody has thought of, and what must hold whatever they are. */
import fc from 'fast-check';

export interface Target {
  name: string;
  /** Fails (by throwing) for so many milliseconds at most; says how many inputs were tried, and how many accepted. */
  run(milliseconds: number, seed: number): Promise<Tried>;
}

export interface Tried {
  tried: number;
  /** Inputs that were read as something, so that an oracle had its say. */
  accepted: number;
}

/** `check` says whether the input was accepted, and throws where something does not hold. */
export function target<T>(
  name: string,
  inputs: fc.Arbitrary<T>,
  check: (input: T) => boolean | Promise<boolean>,
): Target {
  return {
    name,
    async run(milliseconds, seed) {
      let tried = 0;
      let accepted = 0;
      const property = fc.asyncProperty(inputs, async (input) => {
        tried++;
        if (await check(input)) accepted++;
      });
      const bound = { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: milliseconds, seed };
      const details = await fc.check(property, { ...bound, markInterruptAsFailure: false });
      if (details.failed)
        throw new Error(`${name}: ${details.errorInstance}\n${fc.defaultReportMessage(details)}`);
      return { tried, accepted };
    },
  };
}

/** Throws where the two differ. */
export function same(what: string, ours: unknown, theirs: unknown): void {
  if (!Bun.deepEquals(ours, theirs))
    throw new Error(`${what}: we read ${JSON.stringify(ours)}, the oracle ${JSON.stringify(theirs)}`);
}

const EDGES = [0, 1, 4, 5, 9, 10, 13, 20, 22, 32, 44, 46, 47, 48, 58, 59, 64, 91, 127, 128, 192, 255];
const octet = fc.oneof(fc.nat(255), fc.constantFrom(...EDGES));
const change = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), at: fc.nat(), octet }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), length: fc.nat(12) }),
  fc.record({ kind: fc.constant('put' as const), at: fc.nat(), bytes: fc.uint8Array({ maxLength: 12 }) }),
  fc.record({ kind: fc.constant('copy' as const), at: fc.nat(), from: fc.nat(), length: fc.nat(40) }),
);

/** Octets that were changed in a few places: set, cut out, put in, or copied from elsewhere in them. */
export function damaged(seeds: fc.Arbitrary<Uint8Array>, most = 4): fc.Arbitrary<Uint8Array> {
  return fc.tuple(seeds, fc.array(change, { maxLength: most })).map(([seed, changes]) => {
    let bytes: number[] = [...seed];
    for (const each of changes) {
      const at = bytes.length === 0 ? 0 : each.at % bytes.length;
      if (each.kind === 'set') bytes[at] = each.octet;
      else if (each.kind === 'cut') bytes.splice(at, each.length);
      else if (each.kind === 'put') bytes.splice(at, 0, ...each.bytes);
      else {
        const from = bytes.length === 0 ? 0 : each.from % bytes.length;
        bytes = [...bytes.slice(0, at), ...bytes.slice(from, from + each.length), ...bytes.slice(at)];
      }
    }
    return Uint8Array.from(bytes);
  });
}

/** A few of these, one after the other, as Latin-1. */
export const words = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map((each) => each.join(''));
