/** The launcher of a checkout: a copy of it beside fakes of what it would install and start. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const LAUNCHER = resolve(import.meta.dir, '../../clawctl');

let folder: string;
let checkout: string;
let bin: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'clawctl-launcher-')));
  checkout = join(folder, 'a checkout');
  bin = join(folder, 'bin');
  mkdirSync(checkout);
  mkdirSync(bin);
  cpSync(LAUNCHER, join(checkout, 'clawctl'));
  const lock = join(checkout, 'package-lock.json');
  writeFileSync(lock, '{}');
  const earlier = new Date(Date.now() - 60_000);
  utimesSync(lock, earlier, earlier);
});
afterEach(() => {
  chmodSync(checkout, 0o755);
  rmSync(folder, { recursive: true, force: true });
});

function script(path: string, text: string): void {
  mkdirSync(resolve(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

/** What the launcher starts at the end: prints its arguments and environment. */
const RUNTIME = 'printf "[%s]" "$@"; echo; env';

function install(): void {
  script(join(checkout, 'node_modules/@oven/bun-linux-x64/bin/bun'), RUNTIME);
  writeFileSync(join(checkout, 'node_modules/.package-lock.json'), '{}');
}

/** An npm that takes a moment and counts its runs. */
function fakeNpm(): void {
  script(
    join(bin, 'npm'),
    `echo run >> "${folder}/npm-runs"
sleep 0.2
mkdir -p node_modules/@oven/bun-linux-x64/bin
printf '#!/bin/sh\\n%s\\n' '${RUNTIME}' > node_modules/@oven/bun-linux-x64/bin/bun
chmod +x node_modules/@oven/bun-linux-x64/bin/bun
echo {} > node_modules/.package-lock.json`,
  );
}

interface Options {
  as?: string;
  cwd?: string;
  environment?: Record<string, string>;
}

async function launch(
  words: string[],
  { as = join(checkout, 'clawctl'), cwd = folder, environment = {} }: Options = {},
) {
  const child = Bun.spawn([as, ...words], {
    cwd,
    env: { PATH: `${bin}:/usr/bin:/bin`, ...environment },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, code };
}

describe('the launcher', () => {
  test('starts the pinned runtime, told to read no configuration', async () => {
    install();
    const { out, err } = await launch(['egress', 'add', 'a b', '']);
    const main = join(checkout, 'src/main.ts');
    expect(out).toStartWith(
      `[--no-env-file][--config=/dev/null][--no-install][--tsconfig-override=/dev/null][${main}][egress][add][a b][]\n`,
    );
    expect(err).toBe('');
  });

  test('finds its checkout through symlinks, from anywhere', async () => {
    install();
    symlinkSync('a checkout/clawctl', join(folder, 'relative'));
    symlinkSync(join(folder, 'relative'), join(bin, 'absolute'));
    for (const as of [join(folder, 'relative'), join(bin, 'absolute'), './clawctl'])
      expect((await launch([], { as, cwd: checkout })).out).toContain(`[${checkout}/src/main.ts]`);
  });

  test('puts aside what the runtime and the loader obey, also with quotes and line ends in it', async () => {
    install();
    const value = `--preload='x'\nexport BUN_EVIL="$(touch ${folder}/evil)"`;
    const environment = {
      BUN_OPTIONS: value,
      NODE_OPTIONS: 'n',
      LD_LIBRARY_PATH: 'l',
      KEPT: 'k',
      BUNNY: 'b',
    };
    const { out } = await launch([], { environment });
    for (const name of ['BUN_OPTIONS', 'NODE_OPTIONS', 'LD_LIBRARY_PATH'])
      expect(out).not.toMatch(new RegExp(`^${name}=`, 'm'));
    expect(out).toContain(`CLAWCTL_ENV_BUN_OPTIONS=${value}`);
    expect(out).toContain('CLAWCTL_ENV_NODE_OPTIONS=n\n');
    expect(out).toContain('\nKEPT=k\n');
    expect(out).toContain('\nBUNNY=b\n');
    expect(existsSync(join(folder, 'evil'))).toBe(false);
  });

  test('installs the dependencies once, also when two start at once', async () => {
    fakeNpm();
    const both = await Promise.all([launch(['one']), launch(['two'])]);
    expect(both.map(({ out }) => /\[(one|two)\]/.exec(out)?.[1])).toEqual(['one', 'two']);
    expect(await Bun.file(join(folder, 'npm-runs')).text()).toBe('run\n');
    expect((await launch([])).err).toBe('');
  });

  test('installs again when the lock file has changed', async () => {
    install();
    fakeNpm();
    const later = new Date(Date.now() + 60_000);
    utimesSync(join(checkout, 'package-lock.json'), later, later);
    expect((await launch([])).err).toContain('installing the dependencies');
  });

  test('shows why npm failed', async () => {
    script(join(bin, 'npm'), 'echo no network >&2; exit 1');
    const { code, err } = await launch([]);
    expect(code).toBe(1);
    expect(err).toContain('no network');
  });

  test('says that npm is missing', async () => {
    const { code, err } = await launch([], { environment: { PATH: bin } });
    expect(code).toBe(1);
    expect(err).toContain('Install Node.js');
  });

  test.skipIf(process.getuid?.() === 0)('says that the checkout cannot be written', async () => {
    fakeNpm();
    chmodSync(checkout, 0o555);
    const { code, err } = await launch([]);
    expect(code).toBe(1);
    expect(err).toContain('cannot be written');
  });
});
