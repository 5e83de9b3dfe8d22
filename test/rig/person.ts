/**
 * Somebody at a shell, root or not, with a home, a workspace and folders of clawctl's own, all in a folder that is
 * visible inside a fence. Every attack can run fenced, and unfenced as the same user: there it must work.
 */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type Subprocess, spawnSync } from 'bun';
import { removeFolder } from './folder.ts';

const CLAWCTL = process.env.CLAWCTL_TEST_BINARY ?? resolve(import.meta.dir, '../../clawctl');
const isRoot = process.getuid!() === 0;
/** Not private in a fence, as /tmp and /var/tmp are. */
const SOMEWHERE = isRoot ? '/var/lib' : homedir();
/** Nobody's number. */
const ORDINARY = 54_321;

export type User = 'an ordinary user' | 'root';
export const USERS: readonly User[] = isRoot ? ['an ordinary user', 'root'] : ['an ordinary user'];

export interface Seen {
  code: number;
  out: string;
  err: string;
}

export interface Options {
  /** For `run`. */
  flags?: readonly string[];
  environment?: Record<string, string>;
  cwd?: string;
}

export interface Person {
  folder: string;
  home: string;
  workspace: string;
  /** `$XDG_CONFIG_HOME` and `$XDG_STATE_HOME`. */
  config: string;
  state: string;
  environment: Record<string, string>;
  /** Makes a file of theirs, and the folders above it. */
  put(path: string, text?: string): string;
  /** `clawctl egress …` */
  egress(words: readonly string[], options?: Options): Promise<Seen>;
  /** A shell script in a fence. */
  fenced(script: string, options?: Options): Promise<Seen>;
  /** The same script without one. */
  unfenced(script: string, options?: Options): Promise<Seen>;
  /** The command that does one or the other, for what needs more than this gives. */
  command(script: string | null, options?: Options): string[];
  start(script: string, options?: Options): Subprocess<'ignore', 'pipe', 'pipe'>;
  leave(): void;
}

export function createPerson(user: User): Person {
  const folder = mkdtempSync(join(SOMEWHERE, 'clawctl-test-'));
  const at = (name: string) => join(folder, name);
  const become =
    isRoot && user !== 'root'
      ? ['setpriv', `--reuid=${ORDINARY}`, `--regid=${ORDINARY}`, '--clear-groups', '--inh-caps=-all']
      : [];
  const own = (path: string) => {
    if (become.length > 0) spawnSync(['chown', '-hR', `${ORDINARY}:${ORDINARY}`, path]);
  };
  const [home, workspace, config, state] = ['home', 'workspace', 'config', 'state'].map(at) as [
    string,
    string,
    string,
    string,
  ];
  for (const path of [home, workspace, config, state]) mkdirSync(path);
  chmodSync(folder, 0o755);
  own(folder);
  const environment = {
    PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
    HOME: home,
    LANG: 'C.UTF-8',
    XDG_CONFIG_HOME: config,
    XDG_STATE_HOME: state,
  };
  const begin = (words: readonly string[], options: Options) =>
    Bun.spawn([...become, ...words], {
      cwd: options.cwd ?? workspace,
      env: { ...environment, ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const see = async (child: ReturnType<typeof begin>): Promise<Seen> => {
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { out, err, code };
  };
  const run = (script: string, options: Options) => [
    ...[CLAWCTL, 'egress', 'run', ...(options.flags ?? []), '--', '/bin/sh', '-c', script],
  ];
  return {
    ...{ folder, home, workspace, config, state, environment },
    put(path, text = '') {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      for (let each = path; each !== folder && each !== '/'; each = dirname(each))
        if (become.length > 0) spawnSync(['chown', '-h', `${ORDINARY}:${ORDINARY}`, each]);
      return path;
    },
    egress: (words, options = {}) => see(begin([CLAWCTL, 'egress', ...words], options)),
    fenced: (script, options = {}) => see(begin(run(script, options), options)),
    unfenced: (script, options = {}) => see(begin(['/bin/sh', '-c', script], options)),
    command: (script, options = {}) => [
      ...become,
      ...(script === null
        ? []
        : options.flags === undefined
          ? ['/bin/sh', '-c', script]
          : run(script, options)),
    ],
    start: (script, options = {}) => begin(run(script, options), options),
    leave: () => removeFolder(folder),
  };
}

/** Why no fence can be built here, or null. */
export async function whyNoFence(): Promise<string | null> {
  const person = createPerson('an ordinary user');
  try {
    const { code, err } = await person.fenced('true', { flags: ['--quiet'] });
    return code === 0 ? null : err;
  } finally {
    person.leave();
  }
}

/** A Python script as words for a shell. */
export function python(script: string): string {
  return `/usr/bin/python3 -c '${script.replaceAll("'", `'\\''`)}'`;
}
