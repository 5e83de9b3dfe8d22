/** Somebody at a shell, with a home of their own: runs the program as they would and sees what they would see. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const LAUNCHER = resolve(import.meta.dir, '../../clawctl');

export interface Seen {
  code: number;
  out: string;
  err: string;
}

type Item = Record<string, unknown>;
export type Document = Item & { items: Item[] };

export interface Person {
  home: string;
  policyFile: string;
  environment: Record<string, string>;
  /** `type('egress list', …)`: words are split at spaces. An array is taken as it is. */
  type(
    words: string | readonly string[],
    options?: { input?: string; environment?: Record<string, string> },
  ): Promise<Seen>;
  /** The same, parsed; throws if it is no JSON. */
  json(words: string): Promise<Document>;
  writePolicy(text: string): void;
  leave(): void;
}

export function createPerson(): Person {
  const home = mkdtempSync(join(tmpdir(), 'clawctl-person-'));
  const policyFile = join(home, 'config/clawctl/egress.yaml');
  const environment = {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_STATE_HOME: join(home, 'state'),
    XDG_RUNTIME_DIR: join(home, 'runtime'),
  };
  const type: Person['type'] = async (words, options = {}) => {
    const child = Bun.spawn([LAUNCHER, ...(typeof words === 'string' ? words.split(' ') : words)], {
      cwd: home,
      env: { ...environment, ...options.environment },
      stdin: options.input === undefined ? 'ignore' : new Blob([options.input]),
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { out, err, code };
  };
  return {
    home,
    policyFile,
    environment,
    type,
    json: async (words) => JSON.parse((await type(words)).out),
    writePolicy(text) {
      mkdirSync(dirname(policyFile), { recursive: true });
      writeFileSync(policyFile, text);
    },
    leave: () => rmSync(home, { recursive: true, force: true }),
  };
}
