/** What a machine or a person can get wrong: each an error with its fix, nothing lost, nothing opened. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { keepAsking, linesOf } from './rig/lines.ts';
import { without } from './rig/without.ts';
import { inRig, openWorld, type World } from './rig/world.ts';

const CLAWCTL = process.env.CLAWCTL_TEST_BINARY ?? resolve(import.meta.dir, '../clawctl');
const isRoot = process.getuid!() === 0;
/** Mounts of its own for a command, which only root may make and still start bubblewrap. */
const canMount =
  isRoot && Bun.spawnSync(['unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).success;
const unshared = (script: string) => ['unshare', '--mount', 'sh', '-c', `${script} && exec "$0" "$@"`];

const folder = mkdtempSync('/var/tmp/clawctl-badinput-');
const at = (name: string) => join(folder, name);
const environment = {
  PATH: process.env.PATH!,
  HOME: at('home'),
  XDG_CONFIG_HOME: at('config'),
  XDG_STATE_HOME: at('state'),
};
const policyFile = at('config/clawctl/egress.yaml');
const store = at('state/clawctl/egress.db');

beforeEach(() => {
  Bun.spawnSync(['rm', '-rf', folder]);
  makeFolders();
});
afterAll(() => void Bun.spawnSync(['rm', '-rf', folder]));

function makeFolders(): void {
  for (const name of ['home', 'config', 'state', 'workspace']) mkdirSync(at(name), { recursive: true });
}

/** `clawctl egress …`, perhaps by way of another program that starts it. */
async function egress(words: readonly string[], by: readonly string[] = []) {
  const child = Bun.spawn([...by, CLAWCTL, 'egress', ...words], {
    cwd: at('workspace'),
    env: environment,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}

/** The command that must never start leaves this behind. */
const MARK = ['run', '--', 'touch', 'started'];
const hasStarted = () => existsSync(at('workspace/started'));
makeFolders();
const canFence = (await egress(['run', '--quiet', '--', 'true'])).code === 0;

describe('a policy that does not parse', () => {
  const BROKEN = 'version: 1\n# mine\nallow:\n  - host: a.test\n    port: [443]\n';
  const place = `${policyFile}:5:5: unknown key 'port' in a rule under allow\n      port: [443]\n      ^\n  Did you mean 'ports'?`;
  beforeEach(() => {
    mkdirSync(dirname(policyFile), { recursive: true });
    writeFileSync(policyFile, BROKEN);
  });

  test.each([
    [MARK, 125],
    [['list'], 2],
    [['check', 'a.test'], 2],
    [['explain', 'a.test'], 2],
    [['add', 'b.test'], 2],
    [['add', '--preset', 'node'], 2],
    [['remove', 'a.test'], 2],
  ])('is told with its place, a caret and what was meant, by %p', async (words, code) => {
    const seen = await egress(words);
    expect(seen.err).toContain(place);
    expect(seen.code).toBe(code);
    expect(seen.out).toBe('');
    expect(hasStarted()).toBe(false);
    expect(readFileSync(policyFile, 'utf8')).toBe(BROKEN);
    expect(readdirSync(dirname(policyFile)).filter((name) => !name.endsWith('.lock'))).toEqual([
      'egress.yaml',
    ]);
  });
});

describe.skipIf(!canFence)('a store', () => {
  test('that cannot be written lets nothing start, and hinders no question', async () => {
    if (!isRoot) chmodSync(at('state'), 0o500);
    else if (!canMount) return;
    const by = isRoot ? unshared(`mount -t tmpfs -o ro none ${at('state')}`) : [];
    const seen = await egress(MARK, by);
    expect(seen.err).toContain(`The store ${store} cannot be written`);
    expect(seen.err).toMatch(/\n {2}Make it and its folder/);
    expect(seen.code).toBe(125);
    expect(hasStarted()).toBe(false);
    expect((await egress(['blocked'], by)).code).toBe(0);
    expect((await egress(['check', 'a.test'], by)).code).toBe(3);
    expect((await egress(['doctor'], by)).out).toContain(`broken\tstore\t${store} cannot be written`);
    if (!isRoot) chmodSync(at('state'), 0o700);
  });

  test('that is damaged is told, kept aside as it is, and followed by a new one', async () => {
    await egress(['run', '--quiet', '--', 'curl', '-s', 'http://first.test/']);
    for (const name of readdirSync(dirname(store)).filter((name) => name.startsWith('egress.db-')))
      rmSync(join(dirname(store), name));
    const damaged = Buffer.alloc(8192, 'not a database. ');
    writeFileSync(store, damaged);
    for (const words of [['blocked'], ['stats']]) {
      const seen = await egress(words);
      expect(seen.err).toContain(`The store ${store} is damaged.`);
      expect(seen.code).toBe(1);
      expect(readFileSync(store).equals(damaged)).toBe(true);
    }
    const seen = await egress(['run', '--', 'curl', '-s', 'http://second.test/']);
    const aside = /has been moved to (\S+);/.exec(seen.err)?.[1] ?? '';
    expect(readFileSync(aside).equals(damaged)).toBe(true);
    expect((await egress(['blocked'])).out).toStartWith('second.test\t80\t');
    expect((await egress(['run', '--', 'true'])).err).not.toContain('moved');
    expect(existsSync(aside)).toBe(true);
    expect((await egress(['doctor'])).out).toContain(
      `warning\tstore\tdamaged, and kept aside in ${dirname(store)}: ${basename(aside)}`,
    );
  });

  test.skipIf(!canMount)('on a full disk lets nothing start', async () => {
    const by = unshared(
      `mount -t tmpfs -o size=32k none ${at('state')} && { head -c 99999 /dev/zero > ${at('state/fill')} || true; }`,
    );
    const seen = await egress(MARK, by);
    expect(seen.err).toContain('the disk is full.\n  Free some space');
    expect(seen.code).toBe(125);
    expect(hasStarted()).toBe(false);
  });
});

test.skipIf(!canMount)('an edit of the policy on a full disk leaves the file as it was', async () => {
  const config = at('config');
  const before = 'version: 1\nallow:\n  - a.test # mine\n';
  const prepare = `mount -t tmpfs -o size=16k none ${config} && mkdir ${config}/clawctl &&
    printf '${before.replaceAll('\n', '\\n')}' > ${policyFile} && { head -c 99999 /dev/zero > ${config}/fill || true; }`;
  for (const words of ['add b.test', 'remove a.test', 'add --preset node']) {
    const script = `${prepare} && { ${CLAWCTL} egress ${words}; echo "code $?"; cat ${policyFile}; ls -A ${config}/clawctl; }`;
    const child = Bun.spawnSync(['unshare', '--mount', 'sh', '-c', script], { env: environment });
    expect(child.stderr.toString()).toContain('cannot be written: the disk is full\n  Nothing was changed.');
    expect(child.stdout.toString().replace('.egress.yaml.lock\n', '')).toBe(`code 1\n${before}egress.yaml\n`);
  }
});

describe.skipIf(!canFence)('a machine', () => {
  test.skipIf(!canMount)('without bubblewrap is told what to install', async () => {
    // Not by the launcher, which would install it.
    const program = process.env.CLAWCTL_TEST_BINARY;
    const main = resolve(import.meta.dir, '../src/main.ts');
    const start = program ?? `sh ${resolve(import.meta.dir, '../scripts/bun')} ${main}`;
    const hide =
      'for b in /usr/bin/bwrap /usr/local/bin/bwrap; do [ ! -e $b ] || mount --bind /dev/null $b; done';
    const script = `${hide}; ${start} egress run -- touch started; echo "code $?"`;
    const child = Bun.spawnSync(['unshare', '--mount', 'sh', '-c', script], {
      cwd: at('workspace'),
      env: environment,
    });
    expect(child.stderr.toString()).toMatch(/bubblewrap is not installed.*\n {2}Install it: /);
    expect(child.stdout.toString()).toBe('code 125\n');
    expect(hasStarted()).toBe(false);
  });

  test.skipIf(!isRoot).each(['user', 'net'])(
    'that has no %s namespaces to give is told the setting',
    async (kind) => {
      const setting = `/proc/sys/user/max_${kind}_namespaces`;
      const by = [
        'unshare',
        '--user',
        '--map-root-user',
        'sh',
        '-c',
        `echo 0 > ${setting} && exec "$0" "$@"`,
      ];
      const seen = await egress(MARK, by);
      expect(seen.err).toContain(`the kernel setting user.max_${kind}_namespaces is 0`);
      expect(seen.err).toContain(`\n  Ask root to change it: sysctl -w user.max_${kind}_namespaces=`);
      expect(seen.code).toBe(125);
      expect(hasStarted()).toBe(false);
    },
  );

  test('whose container forbids namespaces is told how to start it', async () => {
    const seen = await egress(MARK, without('namespaces'));
    expect(seen.err).toContain('The fence cannot be built: ');
    expect(seen.err).toContain('seccomp=unconfined');
    expect(seen.code).toBe(125);
    expect(hasStarted()).toBe(false);
    expect((await egress(['doctor'], without('namespaces'))).out).toMatch(
      /^broken\tnamespaces\t.*seccomp=unconfined/m,
    );
  });

  test('without IPv6 gets a fence of IPv4, and is told', async () => {
    const seen = await egress(['run', '--', 'curl', '-s', 'http://evil.test/'], without('IPv6'));
    expect(seen.err).toContain('this kernel has no IPv6: the fence is one of IPv4 alone');
    expect(seen.out).toContain('evil.test:80 refused (no-rule)');
    expect(seen.code).toBe(0);
    expect((await egress(['doctor'], without('IPv6'))).out).toContain('warning\tIPv6\t');
  });

  test.skipIf(!canMount)('without room for a copy of the home gets one in memory, and is told', async () => {
    // overlayfs on overlayfs: as in a container.
    const layers = ['lower', 'upper', 'work'].map(at);
    for (const layer of layers) mkdirSync(layer);
    const [lower, upper, work] = layers;
    const mount = `mount -t overlay -o lowerdir=${lower},upperdir=${upper},workdir=${work} none ${at('state')}`;
    const seen = await egress(['run', '--', 'sh', '-c', 'echo kept > ~/file; cat ~/file'], unshared(mount));
    expect(seen.err).toContain('this file system cannot hold the copy of the home');
    expect(seen.out).toBe('kept\n');
    expect(existsSync(at('home/file'))).toBe(false);
  });
});

describe.skipIf(!inRig || !canMount)('a disk that fills while a fence runs', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  test('refuses what it cannot record, lets it pass again by itself, and loses no count', async () => {
    const state = world.environment.XDG_STATE_HOME!;
    const policy = join(world.folder, 'policy.yaml');
    writeFileSync(policy, 'version: 1\nallow: [allowed.test]\n');
    const script = `${keepAsking('allowed.test', '[ ! -e stop ]')}; echo stopped; read line`;
    const mount = unshared(`mount -t tmpfs -o size=4m none ${state}`);
    const running = Bun.spawn(
      [...mount, CLAWCTL, 'egress', 'run', '--policy', policy, '--', 'sh', '-c', script],
      {
        cwd: world.workspace,
        env: world.environment,
        stdin: 'pipe',
        stdout: 'pipe',
        stderr: 'pipe',
      },
    );
    const lines = linesOf(running.stdout);
    const inside = `/proc/${running.pid}/root${state}`;
    try {
      await lines.until('200');
      expect(() => writeFileSync(`${inside}/fill`, Buffer.alloc(8 << 20))).toThrow('ENOSPC');
      await lines.until('audit-unavailable');
      const reached = world.origins.hosts.length;
      await lines.until('audit-unavailable');
      await lines.until('audit-unavailable');
      expect(world.origins.hosts).toHaveLength(reached);
      rmSync(`${inside}/fill`);
      await lines.until('200');
      writeFileSync(join(world.workspace, 'stop'), '');
      await lines.until('stopped');
      const count = (word: string) => lines.all.filter((line) => line === word).length;
      const statsNow = async () => {
        const words = ['egress', 'stats', '--json'];
        const child = Bun.spawn(['nsenter', `--mount=/proc/${running.pid}/ns/mnt`, CLAWCTL, ...words], {
          env: world.environment,
        });
        return JSON.parse(await new Response(child.stdout).text());
      };
      let stats = await statsNow();
      // What repeats within a second is written when the second is over.
      for (const end = Date.now() + 5_000; stats.requests < lines.all.length - 1 && Date.now() < end; )
        stats = await statsNow();
      const { requests, allowed, blocked } = stats;
      expect({ requests, allowed, blocked }).toEqual({
        requests: lines.all.length - 1,
        allowed: count('200'),
        blocked: count('audit-unavailable'),
      });
    } finally {
      running.stdin.end();
      await running.exited;
    }
    expect(await new Response(running.stderr).text()).toContain('the disk is full');
  }, 20_000);
});
