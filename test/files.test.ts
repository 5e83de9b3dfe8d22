/** What a command sees and changes of the file system: the home as a copy, secrets not at all, little else for real. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createPerson, type Person, python, USERS, whyNoFence } from './rig/person.ts';

const reason = await whyNoFence();
if (reason !== null) console.warn(`skipped: no fence can be built here: ${reason}`);
const CHECKOUT = resolve(import.meta.dir, '..');
const isRoot = process.getuid!() === 0;

/** Every name, kind, mode, time and content below a folder. */
function treeHash(folder: string): string {
  const list = `cd "$0" && find . -printf '%p %y %m %U %T@ %l\\n' | sort && find . -type f -exec sha256sum {} + | sort`;
  return Bun.hash(Bun.spawnSync(['sh', '-c', list, folder]).stdout).toString(16);
}

describe.skipIf(reason !== null).each([...USERS])('as %s', (user) => {
  let person: Person;
  beforeEach(() => {
    person = createPerson(user);
  });
  afterEach(() => person.leave());

  describe('the home', () => {
    const RAVAGE = `cd ~; echo evil >> .profile; rm -r docs; mv photo other; chmod 700 keep; touch -d 1999-01-01 keep
ln -s /etc .link; mkdir -p .config/autostart && echo evil > .config/autostart/x; truncate -s 0 empty-me; ls -A`;
    const fill = () => {
      for (const name of ['.profile', 'docs/a', 'docs/deep/b', 'photo', 'keep', 'empty-me'])
        person.put(join(person.home, name), `${name}\n`);
      chmodSync(join(person.home, 'keep'), 0o640);
    };

    test('stays as it was, byte for byte, while the command works in its copy', async () => {
      fill();
      const before = treeHash(person.home);
      const { out } = await person.fenced(RAVAGE);
      expect(out.split('\n')).toEqual(
        ['.config', '.link', '.profile', 'empty-me', 'keep', 'other', ''].sort((a, b) =>
          a === '' ? 1 : b === '' ? -1 : 0,
        ),
      );
      expect(treeHash(person.home)).toBe(before);
      await person.unfenced(RAVAGE);
      expect(treeHash(person.home)).not.toBe(before);
    });

    test('keeps what the agent changed for the next time, for that agent alone, until --fresh', async () => {
      const look = { flags: ['--quiet', '--agent', 'one'] };
      await person.fenced('mkdir -p ~/.cache/pip && echo wheel > ~/.cache/pip/x', look);
      expect((await person.fenced('cat ~/.cache/pip/x', look)).out).toBe('wheel\n');
      expect((await person.fenced('cat ~/.cache/pip/x', { flags: ['--agent', 'two'] })).out).toBe('');
      expect((await person.fenced('ls -A ~', { flags: [...look.flags, '--fresh'] })).out).toBe('');
      expect(readdirSync(person.home)).toEqual([]);
    });

    test('is emptied by --fresh whatever the agent has built in it', async () => {
      const build = python(`
import os
os.chdir(os.environ["HOME"]); os.mkdir("shut"); os.mkdir("shut/in"); os.chmod("shut", 0)
for each in range(2000): os.mkdir("deep" * 10); os.chdir("deep" * 10)
os.mkfifo("fifo"); os.symlink("/", "link"); print("built")`);
      const flags = ['--quiet', '--agent', 'builder'];
      expect((await person.fenced(build, { flags })).out).toBe('built\n');
      expect(await person.fenced('ls -A ~', { flags: [...flags, '--fresh'] })).toEqual({
        code: 0,
        out: '',
        err: '',
      });
    });

    test('is a copy of its own for a second run at the same time, which is told so', async () => {
      const flags = ['--agent', 'same'];
      const wait = 'echo first > ~/who; touch up; until [ -e done ]; do sleep 0.02; done; cat ~/who';
      const first = person.start(wait, { flags });
      const child = new Response(first.stdout).text();
      while (!existsSync(join(person.workspace, 'up'))) await Bun.sleep(5);
      const second = await person.fenced('echo second > ~/who; cat ~/who; touch done', { flags });
      expect(second.out).toBe('second\n');
      expect(second.err).toContain('another run of same');
      expect(await child).toBe('first\n');
      expect((await person.fenced('cat ~/who', { flags })).out).toBe('first\n');
    });

    test.skipIf(Bun.which('npm', { PATH: '/usr/bin:/bin' }) === null)(
      'holds the caches of npm',
      async () => {
        person.put(join(person.workspace, 'thing/package.json'), '{"name":"thing","version":"1.0.0"}');
        const flags = ['--quiet', '--agent', 'npm'];
        const install =
          'npm pack --silent ./thing && mkdir -p user && cd user && npm install --silent --offline --no-audit ../thing-1.0.0.tgz && npm cache add ../thing-1.0.0.tgz && ls node_modules';
        expect((await person.fenced(install, { flags })).out).toEndWith('thing\n');
        expect((await person.fenced('npm cache ls', { flags })).out).toContain('thing-1.0.0.tgz');
        expect(readdirSync(person.home)).toEqual([]);
      },
      30_000,
    );
  });

  describe('a credential store', () => {
    const STORES = [
      '.ssh/id_ed25519',
      '.aws/credentials',
      '.netrc',
      '.gnupg/key',
      '.kube/config',
      '.docker/config.json',
    ];

    test('is not seen, and --read shows one', async () => {
      for (const name of STORES) person.put(join(person.home, name), `secret of ${name}\n`);
      const look = `cat ${STORES.map((name) => `~/${name}`).join(' ')}`;
      expect((await person.unfenced(look)).out.match(/secret/g)).toHaveLength(STORES.length);
      expect((await person.fenced(look)).out).toBe('');
      const shown = await person.fenced(look, { flags: ['--read', join(person.home, '.netrc')] });
      expect(shown.out).toBe('secret of .netrc\n');
    });

    test('of our own, the tokens of agents, is neither seen nor changed, whatever is shown', async () => {
      const path = person.put(join(person.config, 'clawctl/agents.json'), '{"version":1,"agents":{}}\n');
      const look = `cat ${path}; cp /dev/null ${path}; rm -f ${path}; mv ${join(person.config, 'clawctl')} ~/away`;
      for (const flags of [
        [],
        ['--read', path],
        ['--read', join(person.config, 'clawctl')],
        ['--read', person.config],
      ])
        expect((await person.fenced(look, { flags })).out).toBe('');
      expect((await person.unfenced(`cat ${path}`)).out).toBe('{"version":1,"agents":{}}\n');
    });

    test('is not seen where XDG_CONFIG_HOME has put it', async () => {
      const path = person.put(join(person.config, 'gh/hosts.yml'), 'secret\n');
      expect((await person.unfenced(`cat ${path}`)).out).toBe('secret\n');
      expect((await person.fenced(`cat ${path}`)).out).toBe('');
    });

    test('is not seen in a folder that could not be searched and then can', async () => {
      person.put(join(person.home, '.config/gh/hosts.yml'), 'secret\n');
      chmodSync(join(person.home, '.config'), 0o600);
      const look = 'chmod 700 ~/.config && cat ~/.config/gh/hosts.yml; ls ~/.config';
      expect((await person.fenced(look)).out).toBe('gh\n');
      expect((await person.unfenced(look)).out).toBe('secret\ngh\n');
    });

    test('is not seen after its folder was moved, the next time either', async () => {
      person.put(join(person.home, '.local/share/keyrings/login'), 'secret\n');
      const cwd = join(person.home, '.local');
      const move = 'mv share away; cat */keyrings/login';
      expect((await person.fenced(move, { cwd })).out).toBe('');
      expect((await person.fenced('cat */keyrings/login', { cwd })).out).toBe('');
      expect((await person.unfenced(move, { cwd })).out).toBe('secret\n');
    });
  });

  describe('changes for real', () => {
    const touch = (path: string) => `touch ${path}/made 2>/dev/null; echo ended`;

    test('are made in the working directory and below --write, nowhere else', async () => {
      const open = join(person.folder, 'open');
      person.put(join(open, 'below/x'));
      const flags = ['--write', join(open, 'below')];
      await person.fenced(`${touch('.')}; ${touch(`${open}/below`)}; ${touch(open)}`, { flags });
      expect([person.workspace, `${open}/below`, open].map((path) => existsSync(join(path, 'made')))).toEqual(
        [...[true, true, false]],
      );
      await person.unfenced(touch(open));
      expect(existsSync(join(open, 'made'))).toBe(true);
    });

    test('are refused for the home, our own folders and program, the system, and links', async () => {
      const link = join(person.workspace, 'link');
      symlinkSync(person.config, link);
      person.put(join(person.state, 'clawctl/homes/x'));
      for (const path of [
        ...[person.home, person.folder, person.config, person.state, join(person.state, 'clawctl')],
        ...[CHECKOUT, join(CHECKOUT, 'src'), '/', '/etc', '/usr/bin', '/proc', '/sys', link],
      ]) {
        const seen = await person.fenced('true', { flags: ['--write', path] });
        expect([path, seen.code, seen.err]).toEqual([path, 125, expect.stringContaining(`--write ${path}`)]);
      }
    });

    test('are not made where the working directory is or holds what matters', async () => {
      for (const cwd of [person.home, person.folder, person.state, person.config]) {
        const seen = await person.fenced(touch('.'), { cwd });
        expect([cwd, seen.code, seen.err]).toEqual([cwd, 0, expect.stringMatching(/read-only|own copy/)]);
        expect(existsSync(join(cwd, 'made'))).toBe(false);
      }
      await person.unfenced(touch('.'), { cwd: person.home });
      expect(existsSync(join(person.home, 'made'))).toBe(true);
    });
  });

  test('the system and our own program are read-only where the command starts there', async () => {
    const look = 'test -w . && echo OUT';
    for (const cwd of ['/', '/usr/bin', '/etc', CHECKOUT, join(CHECKOUT, 'src')]) {
      const seen = await person.fenced(look, { cwd });
      expect([cwd, seen.out, seen.err]).toEqual([cwd, '', expect.stringContaining('read-only')]);
      if (user === 'root') expect([cwd, (await person.unfenced(look, { cwd })).out]).toEqual([cwd, 'OUT\n']);
    }
  });

  test('files that tools execute are told at the end when they have changed', async () => {
    person.put(join(person.workspace, 'package.json'), '{}');
    const plant = `mkdir -p .git/hooks .vscode; echo x > .git/hooks/post-checkout; echo x > .vscode/tasks.json
echo '{"scripts":{}}' > package.json; echo x > .envrc; echo x > readme`;
    const { err } = await person.fenced(plant);
    expect(err).toContain('.envrc, .git/hooks/post-checkout, .vscode/tasks.json, package.json\n');
    expect((await person.fenced('true')).err).not.toContain('tools execute');
    const json = await person.fenced('echo y > .envrc', { flags: ['--json'] });
    expect(JSON.parse(json.err.trim().split('\n').at(-1)!)).toMatchObject({ changed_files: ['.envrc'] });
  });
});

const canMount = isRoot && Bun.spawnSync(['unshare', '--mount', 'true']).success;
describe.skipIf(reason !== null || !canMount)('with mounts of our own', () => {
  test('a folder that is mounted later, on a machine that shares its mounts, is not changed inside', async () => {
    const person = createPerson('root');
    const late = join(person.folder, 'late');
    mkdirSync(late);
    const change = `touch up; until [ -e ${late}/here ] || [ -e go ]; do sleep 0.02; done; mkdir ${late}/made; echo ended`;
    const run = (flags: string[] | null) => {
      const command = person.command(change, flags === null ? {} : { flags });
      const script = `"$@" & until [ -e up ]; do sleep 0.02; done
mount -t tmpfs tmpfs ${late} && touch ${late}/here go; wait; ls ${late}; umount ${late}; rm up go`;
      const child = Bun.spawnSync(
        ['unshare', '--mount', '--propagation', 'shared', 'sh', '-c', script, 'sh', ...command],
        { cwd: person.workspace, env: person.environment },
      );
      return child.stdout.toString();
    };
    expect(run(['--quiet'])).toBe('ended\nhere\n');
    expect(run(null)).toBe('ended\nhere\nmade\n');
    person.leave();
  });

  test('the copy of the home lives in memory where its file system cannot hold it, and it is told', async () => {
    const person = createPerson('root');
    person.put(join(person.home, 'kept'), 'mine\n');
    for (const name of ['over/upper', 'over/work']) mkdirSync(join(person.folder, name), { recursive: true });
    const overlay = `lowerdir=${person.state},upperdir=${person.folder}/over/upper,workdir=${person.folder}/over/work`;
    const run = (script: string) => {
      const all = `mount -t overlay overlay -o ${overlay} ${person.state} && exec "$@"`;
      const command = person.command(script, { flags: ['--agent', 'one'] });
      const child = Bun.spawnSync(['unshare', '--mount', 'sh', '-c', all, 'sh', ...command], {
        cwd: person.workspace,
        env: person.environment,
      });
      return { out: child.stdout.toString(), err: child.stderr.toString() };
    };
    const first = run('echo theirs > ~/kept; cat ~/kept');
    expect(first.out).toBe('theirs\n');
    expect(first.err).toContain('kept in memory and dropped');
    expect(run('cat ~/kept').out).toBe('mine\n');
    expect(readFileSync(join(person.home, 'kept'), 'utf8')).toBe('mine\n');
    person.leave();
  });
});
