/**
 * What the channels of alerts use, and no command may see or change: the variables and files that hold their secrets,
 * and the programs of their own that they run outside the fence. The fence is begun before any policy is parsed, so
 * this looks for the words alone; what stands in a comment is taken, too, which costs nothing.
 */
import { readFileSync, statSync } from 'node:fs';

export interface ChannelSecrets {
  /** Names of variables of the environment. */
  variables: ReadonlySet<string>;
  /** Absolute paths that exist: of secrets, and of programs that are not the system's own. */
  files: readonly string[];
}

const NOTHING: ChannelSecrets = { variables: new Set(), files: [] };
/** Whoever may change a file below one of these is root, or is let in by root. */
const OF_THE_SYSTEM = /^\/(usr|bin|sbin|lib|lib64|nix\/store|gnu\/store)\//;

export function channelSecrets(policyFiles: readonly string[]): ChannelSecrets {
  const texts = policyFiles.map(textOf).filter((text) => /\bchannels\b/.test(text));
  if (texts.length === 0) return NOTHING;
  const all = texts.join('\n');
  const variables = [...all.matchAll(/\benv:([A-Za-z_][A-Za-z0-9_]*)/g)].map(([, name]) => name!);
  const secrets = [...all.matchAll(/\bfile:(\/[^\0\r\n]+)/g)].flatMap(([, rest]) => beginnings(rest!));
  const programs = [...all.matchAll(/(?<=[\s"'[,])(\/[^\0\r\n]+)/g)]
    .flatMap(([, rest]) => beginnings(rest!))
    .filter((path) => !OF_THE_SYSTEM.test(path) && isProgram(path));
  return { variables: new Set(variables), files: [...new Set([...secrets.filter(isFile), ...programs])] };
}

/** The environment without what channels keep in it. */
export function withoutSecrets(
  environment: Readonly<Record<string, string>>,
  { variables }: ChannelSecrets,
): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !variables.has(name)));
}

/** Where a path in YAML may end: at a quote, a bracket, a comma, a space, or the end of the line. */
function beginnings(text: string): string[] {
  const ends = [...text.slice(0, 4_096).matchAll(/["'\]},\s#]|$/g)].map(({ index }) => index);
  return ends.slice(0, 16).map((end) => text.slice(0, end));
}

function textOf(file: string): string {
  try {
    // A pipe would block, and cannot be a policy.
    return statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file, 'utf8') : '';
  } catch {
    return '';
  }
}

const isFile = (path: string) => look(path)?.isFile() ?? false;
const isProgram = (path: string) => {
  const found = look(path);
  return found?.isFile() === true && (found.mode & 0o111) !== 0;
};

function look(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
