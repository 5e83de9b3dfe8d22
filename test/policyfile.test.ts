/**
 * The command in the fence cannot change what decides about it: the policy, the store, the kill switch, and every link
 * and folder on the way there. Each attack also runs without a fence, where it must succeed.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, linkSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createPerson, type Options, type Person, USERS, whyNoFence } from './rig/person.ts';

const reason = await whyNoFence();
if (reason !== null) console.warn(`skipped: no fence can be built here: ${reason}`);
const CLAWCTL = resolve(import.meta.dir, '../clawctl');

const BEFORE = 'version: 1\n';
const AFTER = 'version: 1\nallow: [evil.test]\n';

/** What an agent may try with a path; `$1` is the policy's, `$2` and `$3` the agent's own, beside it and elsewhere. */
const TRICKS: readonly (readonly [string, string])[] = [
  ['writing over it', 'cat "$2" > "$1"'],
  ['putting another in its place', 'cp "$2" "$2.new" && mv -f "$2.new" "$1"'],
  ['a link in its place', 'ln -sf "$2" "$1"'],
  ['a hard link in its place', 'ln -f "$2" "$1"'],
  ['moving its folder away', 'd=$(dirname "$1"); mv "$d" "$d.away" && mkdir -p "$d" && cp "$3" "$1"'],
];

interface Layout {
  title: string;
  /** Makes the policy; returns the path by which clawctl finds it. */
  lay(person: Person): string;
  options(person: Person): Options;
}

const inWorkspace = (person: Person) => join(person.workspace, 'policies', 'egress.yaml');
const LAYOUTS: readonly Layout[] = [
  {
    title: 'in its usual place in the home, which is the working directory',
    lay: (person) => person.put(join(person.home, '.config/clawctl/egress.yaml'), BEFORE),
    options: (person) => ({ cwd: person.home, environment: { XDG_CONFIG_HOME: '' } }),
  },
  {
    title: 'in an XDG folder in the working directory',
    lay: (person) => person.put(join(person.workspace, 'xdg/clawctl/egress.yaml'), BEFORE),
    options: (person) => ({ environment: { XDG_CONFIG_HOME: join(person.workspace, 'xdg') } }),
  },
  {
    title: 'named by --policy in the working directory',
    lay: (person) => person.put(inWorkspace(person), BEFORE),
    options: (person) => ({ flags: ['--policy', inWorkspace(person)] }),
  },
  {
    title: 'behind a link in the working directory',
    lay: (person) => linkTo(person, join(person.workspace, 'link.yaml')),
    options: (person) => ({ flags: ['--policy', join(person.workspace, 'link.yaml')] }),
  },
  {
    title: 'behind a link to a folder, in the working directory',
    lay: (person) => {
      const real = person.put(join(person.folder, 'elsewhere/clawctl/egress.yaml'), BEFORE);
      symlinkSync(dirname(dirname(real)), join(person.workspace, 'xdg'));
      return join(person.workspace, 'xdg/clawctl/egress.yaml');
    },
    options: (person) => ({ environment: { XDG_CONFIG_HOME: join(person.workspace, 'xdg') } }),
  },
];

function linkTo(person: Person, link: string): string {
  symlinkSync(person.put(join(person.folder, 'elsewhere/egress.yaml'), BEFORE), link);
  return link;
}

describe.skipIf(reason !== null).each([...USERS])('as %s, a policy', (user) => {
  let person: Person;
  beforeEach(() => {
    person = createPerson(user);
  });
  afterEach(() => person.leave());

  /** What the trick would do in the layout, as words for a shell. */
  function prepare(whose: Person, layout: Layout, tricks: readonly string[]) {
    const policy = layout.lay(whose);
    const mine = whose.put(join(whose.folder, 'mine.yaml'), AFTER);
    const { cwd = whose.workspace } = layout.options(whose);
    const attack = tricks.map((trick) => `(${trick})`).join('; ');
    const script = `cp ${mine} ${cwd}/mine.yaml; set -- ${policy} ${cwd}/mine.yaml ${mine}; ${attack}; echo ended`;
    return { policy, script, cwd };
  }

  for (const layout of LAYOUTS)
    test(`${layout.title} cannot be changed from inside`, async () => {
      for (const [title, trick] of TRICKS) {
        const other = createPerson(user);
        const { policy, script, cwd } = prepare(other, layout, [trick]);
        await other.unfenced(script, { cwd });
        expect([title, readFileSync(policy, 'utf8')]).toEqual([title, AFTER]);
        other.leave();
      }
      const all = TRICKS.map(([, trick]) => trick);
      const { policy, script } = prepare(person, layout, all);
      expect((await person.fenced(script, layout.options(person))).out).toBe('ended\n');
      expect(readFileSync(policy, 'utf8')).toBe(BEFORE);
    });

  test('with a second name, by which it could be changed, is refused', async () => {
    const policy = person.put(join(person.config, 'clawctl/egress.yaml'), BEFORE);
    linkSync(policy, join(person.workspace, 'second'));
    const { code, err } = await person.fenced('echo x >> second');
    expect(code).toBe(125);
    expect(err).toContain('hard link');
    expect(readFileSync(policy, 'utf8')).toBe(BEFORE);
  });

  test('that is not there yet cannot be made, neither at its place nor where a link leads', async () => {
    const planned = join(person.workspace, 'planned/egress.yaml');
    mkdirSync(join(person.config, 'clawctl'), { recursive: true });
    symlinkSync(planned, join(person.config, 'clawctl/egress.yaml'));
    const script = `mkdir -p ${dirname(planned)} && echo 'version: 1' > ${planned}`;
    await person.fenced(script);
    expect(existsSync(planned)).toBe(false);
    await person.unfenced(script);
    expect(existsSync(planned)).toBe(true);
  });

  test('is not changed by clawctl itself inside', async () => {
    const add = `${CLAWCTL} egress add evil.test --force`;
    await person.fenced(add);
    expect((await person.egress(['check', 'evil.test'])).code).toBe(3);
    await person.unfenced(add);
    expect((await person.egress(['check', 'evil.test'])).code).toBe(0);
    await person.fenced(`${CLAWCTL} egress remove evil.test`);
    expect((await person.egress(['check', 'evil.test'])).code).toBe(0);
  });
});

describe.skipIf(reason !== null).each([...USERS])('as %s, what clawctl keeps', (user) => {
  let person: Person;
  beforeEach(() => {
    person = createPerson(user);
  });
  afterEach(() => person.leave());

  test('is neither seen nor changed inside, wherever the command starts', async () => {
    await person.fenced('true');
    const folder = join(person.state, 'clawctl');
    const store = join(folder, 'egress.db');
    const kill = person.put(join(folder, 'egress.kill'));
    const before = readFileSync(store);
    const attack = `cat ${store} | head -c 6; rm -f ${kill}; rm -rf ${folder}; mv ${person.state} ${person.state}.away; echo ended`;
    for (const cwd of [person.workspace, person.home, person.folder, person.state]) {
      const { out } = await person.fenced(attack, { cwd });
      expect(out).toBe('ended\n');
      expect(existsSync(kill)).toBe(true);
      expect(readFileSync(store).subarray(0, 16)).toEqual(before.subarray(0, 16));
    }
    const { out } = await person.unfenced(attack);
    expect(out).toBe('SQLiteended\n');
    expect(existsSync(kill)).toBe(false);
  });

  test('is not reached through a kill switch that is a link', async () => {
    await person.fenced('true');
    const kill = join(person.state, 'clawctl/egress.kill');
    const real = person.put(join(person.workspace, 'killed'));
    symlinkSync(real, kill);
    await person.fenced(`rm -f ${real}`);
    expect(existsSync(kill)).toBe(true);
    await person.unfenced(`rm -f ${real}`);
    expect(existsSync(kill)).toBe(false);
  });
});

const canMount = process.getuid!() === 0 && Bun.spawnSync(['unshare', '--mount', 'true']).success;
describe.skipIf(reason !== null || !canMount)('where the home is mounted a second time', () => {
  test('neither the policy nor a credential store is reached by the other path', async () => {
    const person = createPerson('root');
    const policy = person.put(join(person.config, 'clawctl/egress.yaml'), BEFORE);
    person.put(join(person.home, '.ssh/id'), 'secret\n');
    const other = join(person.folder, 'other');
    mkdirSync(other);
    const attack = 'cat home/.ssh/id; echo changed > config/clawctl/egress.yaml; echo ended';
    const mounted = (flags?: string[]) => {
      const command = person.command(attack, flags === undefined ? {} : { flags });
      const all = `mount --bind ${person.folder} ${other} && cd ${other} && exec "$@"`;
      const child = Bun.spawnSync(['unshare', '--mount', 'sh', '-c', all, 'sh', ...command], {
        env: person.environment,
      });
      return child.stdout.toString();
    };
    expect(mounted(['--quiet'])).toBe('ended\n');
    expect(readFileSync(policy, 'utf8')).toBe(BEFORE);
    expect(mounted()).toBe('secret\nended\n');
    expect(readFileSync(policy, 'utf8')).toBe('changed\n');
    person.leave();
  });
});
