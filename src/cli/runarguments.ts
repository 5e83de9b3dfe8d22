/**
 * The arguments of `run`, read without a library, because the fence starts to be built before any library
 * loads. Whatever is not plainly well formed is left to the full parser, which explains it.
 */

export interface RunArguments {
  agent: string | null;
  policy: string | null;
  write: string[];
  read: string[];
  socket: string[];
  publish: string[];
  force: boolean;
  fresh: boolean;
  quiet: boolean;
  json: boolean;
  /** `--proxy-only`. */
  proxyOnly: boolean;
  command: string[];
}

const FLAGS = ['force', 'fresh', 'quiet', 'json', 'proxyOnly'] as const;
const LISTS = ['write', 'read', 'socket', 'publish'] as const;
const VALUES = ['agent', 'policy'] as const;

export const NO_RUN_OPTIONS = {
  agent: null,
  policy: null,
  write: [] as string[],
  read: [] as string[],
  socket: [] as string[],
  publish: [] as string[],
  force: false,
  fresh: false,
  quiet: false,
  json: false,
  proxyOnly: false,
};

/** Takes what follows `egress run`. Null: not well formed, or the person asks for help. */
export function readRunArguments(words: readonly string[]): RunArguments | null {
  const result: RunArguments = {
    ...NO_RUN_OPTIONS,
    write: [],
    read: [],
    socket: [],
    publish: [],
    command: [],
  };
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === '--' || !word.startsWith('-')) {
      result.command = words.slice(word === '--' ? at + 1 : at);
      return result.command.length > 0 && result.command[0] !== '' ? result : null;
    }
    const [, spelled, , inline] = /^--([a-z]+(?:-[a-z]+)*)(=([\s\S]*))?$/.exec(word) ?? [];
    const name = spelled?.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    const flag = FLAGS.find((each) => each === name);
    if (flag !== undefined) {
      if (inline !== undefined) return null;
      result[flag] = true;
      continue;
    }
    const list = LISTS.find((each) => each === name);
    const value = VALUES.find((each) => each === name);
    if (list === undefined && value === undefined) return null;
    const text = inline ?? words[++at];
    // An option where a value should be is a forgotten value.
    if (text === undefined || text === '' || (inline === undefined && text.startsWith('-'))) return null;
    if (list !== undefined) result[list].push(text);
    else if (value !== undefined) result[value] = text;
  }
  return null;
}
