/**
 * Nothing that lies in a workspace, in the home or in a variable decides what clawctl itself runs, neither from a
 * checkout nor as one binary, whichever command is typed. Each trap is first shown to work on a program that does
 * not watch out.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createPerson, type Person, USERS, whyNoFence } from './rig/person.ts';

const reason = await whyNoFence();
if (reason !== null) console.warn(`skipped: no fence can be built here: ${reason}`);
const ROOT = resolve(import.meta.dir, '..');
const CHECKOUT = join(ROOT, 'clawctl');

const COMMANDS: readonly (readonly string[])[] = [
  ['run', '--quiet', '--', 'true'],
  ['add', 'planted.test'],
  ['remove', 'planted.test'],
  ['list'],
  ['presets'],
  ['blocked'],
  ['stats'],
  ['check', 'planted.test'],
  ['explain', 'planted.test'],
  ['doctor'],
  ['run', '--help'],
];

const user = USERS[0]!;
let person: Person;
let binary: string;
let sprung: string;

describe.skipIf(reason !== null)('what is planted', () => {
  beforeAll(() => {
    person = createPerson(user);
    binary = join(person.folder, 'clawctl');
    const built = Bun.spawnSync([process.execPath, join(ROOT, 'scripts/build.ts'), binary]);
    if (!built.success) throw new Error(built.stderr.toString());
    sprung = join(person.folder, 'sprung');
  });
  afterAll(() => person.leave());
  beforeEach(() => {
    rmSync(sprung, { force: true });
    for (const folder of [person.workspace, person.home])
      for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  });

  const plant = (name: string, text: string) => person.put(join(person.workspace, name), text);
  /** JavaScript that leaves a trace where it runs. */
  const trap = () => `require('fs').appendFileSync('${sprung}', process.argv.join(' ') + '\\n');`;
  const evil = () => plant('evil.js', trap());

  /** Types every command, from a checkout and as a binary. The trap must not have sprung. */
  async function typeAll(environment: Record<string, string> = {}): Promise<void> {
    for (const program of [CHECKOUT, binary])
      for (const words of COMMANDS) {
        const child = Bun.spawn([...person.command(null), program, 'egress', ...words], {
          cwd: person.workspace,
          env: { ...person.environment, ...environment },
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        const [out, err, code] = await Promise.all([
          new Response(child.stdout).text(),
          new Response(child.stderr).text(),
          child.exited,
        ]);
        expect([program, words[0], existsSync(sprung) ? readFileSync(sprung, 'utf8') : '']).toEqual([
          ...[program, words[0], ''],
        ]);
        expect([program, words[0], code <= 3, out + err]).toEqual([
          program,
          words[0],
          true,
          expect.any(String),
        ]);
        expect(out + err).not.toContain('planted-value');
      }
  }

  /** A program of the same runtime that does not watch out, started in the same place. */
  function careless(environment: Record<string, string> = {}, ...options: string[]): string {
    const child = Bun.spawnSync(
      [process.execPath, ...options, join(ROOT, 'src/main.ts'), 'egress', 'presets'],
      {
        cwd: person.workspace,
        env: { ...person.environment, ...environment },
      },
    );
    const trace = existsSync(sprung) ? readFileSync(sprung, 'utf8') : '';
    rmSync(sprung, { force: true });
    return trace + child.stderr.toString();
  }

  test('as tsconfig.json or jsconfig.json is not obeyed', async () => {
    evil();
    for (const name of ['tsconfig.json', 'jsconfig.json']) {
      plant(name, JSON.stringify({ compilerOptions: { baseUrl: '.', paths: { '*': ['./evil.js'] } } }));
      expect(careless()).toContain('main.ts');
      await typeAll();
      rmSync(join(person.workspace, name));
    }
  }, 60_000);

  test('as bunfig.toml, in the workspace or the home, is not obeyed', async () => {
    const text = `preload = [${JSON.stringify(evil())}]\n`;
    plant('bunfig.toml', text);
    person.put(join(person.home, '.bunfig.toml'), text);
    person.put(join(person.config, '.bunfig.toml'), text);
    expect(careless()).toContain('main.ts');
    await typeAll();
  }, 60_000);

  test('as .env, node_modules and package.json is not obeyed', async () => {
    const elsewhere = person.put(
      join(person.folder, 'theirs/clawctl/egress.yaml'),
      'version: planted-value\n',
    );
    const variables = `XDG_CONFIG_HOME=${join(person.folder, 'theirs')}\nBUN_OPTIONS=--preload=${evil()}\n`;
    for (const name of ['.env', '.env.local', '.env.production', '.env.development']) plant(name, variables);
    for (const name of ['yaml', 'commander', 'zod']) plant(`node_modules/${name}/index.js`, trap());
    plant('package.json', JSON.stringify({ imports: { '*': './evil.js' }, preload: './evil.js' }));
    const { XDG_CONFIG_HOME: _, ...rest } = person.environment;
    const child = Bun.spawnSync([process.execPath, '-p', 'process.env.XDG_CONFIG_HOME'], {
      cwd: person.workspace,
      env: rest,
    });
    expect(`${child.stdout}`).toContain('theirs');
    const before = person.environment.XDG_CONFIG_HOME!;
    delete person.environment.XDG_CONFIG_HOME;
    await typeAll();
    person.environment.XDG_CONFIG_HOME = before;
    expect(readFileSync(elsewhere, 'utf8')).toBe('version: planted-value\n');
  }, 60_000);

  test('in variables that the runtime obeys is left to the command inside', async () => {
    const path = evil();
    expect(careless({ BUN_OPTIONS: `--preload=${path}` })).toContain('main.ts');
    await typeAll({
      BUN_OPTIONS: `--preload=${path}`,
      BUN_INSPECT_PRELOAD: path,
      BUN_BE_BUN: '1',
      NODE_OPTIONS: `--require=${path}`,
      NODE_PATH: join(person.workspace, 'node_modules'),
    });
    await typeAll({ BUN_INSPECT: `ws+unix://${person.folder}/inspect.sock` });
    expect(existsSync(join(person.folder, 'inspect.sock'))).toBe(false);
    const { out } = await person.fenced('env', { environment: { BUN_OPTIONS: '--planted', LD_DEBUG: '' } });
    expect(out).toContain('BUN_OPTIONS=--planted\n');
  }, 120_000);

  test('as a program on PATH or in the workspace is not started', async () => {
    for (const name of ['bwrap', 'bun', 'cat', 'node', 'npm', 'env', 'sh', 'readlink', 'id', 'clawctl'])
      chmodSync(plant(name, `#!/bin/sh\necho ${name} >> ${sprung}\n`), 0o755);
    const environment = { PATH: `${person.workspace}:.:/usr/bin:/bin` };
    for (const name of ['bwrap', 'cat']) await person.unfenced(`${name} --version`, { environment });
    expect(readFileSync(sprung, 'utf8')).toBe('bwrap\ncat\n');
    rmSync(sprung);
    await typeAll(environment);
  }, 60_000);

  test.skipIf(Bun.which('gcc') === null)(
    'as a library to load first reaches nothing that builds the fence',
    async () => {
      const source = plant(
        'first.c',
        `#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void first(void) {
  char name[64] = ""; FILE *self = fopen("/proc/self/comm", "r");
  if (self == NULL || fgets(name, sizeof name, self) == NULL) return;
  FILE *trace = fopen("${sprung}", "a"); if (trace != NULL) fputs(name, trace);
}`,
      );
      const library = join(person.workspace, 'first.so');
      expect(Bun.spawnSync(['gcc', '-shared', '-fPIC', '-o', library, source]).exitCode).toBe(0);
      person.put(sprung);
      const environment = { LD_PRELOAD: library };
      // A file as stdout: then cat takes part too. Whoever sets the variable for clawctl has clawctl; not what it starts.
      const log = Bun.file(join(person.folder, 'log'));
      const child = Bun.spawn(person.command('true', { flags: ['--quiet'] }), {
        cwd: person.workspace,
        env: { ...person.environment, ...environment },
        stdio: ['ignore', log, log],
      });
      expect(await child.exited).toBe(0);
      const loaded = readFileSync(sprung, 'utf8').split('\n');
      for (const name of ['bwrap', 'cat']) expect(loaded).not.toContain(name);
      await person.unfenced('cat /dev/null', { environment });
      expect(readFileSync(sprung, 'utf8')).toContain('cat\n');
    },
  );
});
