import { describe, expect, test } from 'bun:test';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '../base/failure.ts';
import { rulesOf } from '../policy/policy.ts';
import { BELOW_MACHINE, BUILT_IN } from '../policy/presets/presets.ts';
import { type Addition, addPreset, addRules, removeRules } from './edit.ts';
import { temporaryFolder } from './folder.fixture.ts';
import { loadPolicy } from './load.ts';

type Options = Partial<Addition>;
const addition = (host: string, options: Options = {}): Addition => ({
  host,
  ports: [],
  agent: null,
  until: null,
  note: null,
  force: false,
  ...options,
});

/** The text after an edit of a file with this text. */
function edited(
  text: string,
  ...edits: Array<(file: string, machine: { machinePolicy: string }) => unknown>
): string {
  using place = temporaryFolder();
  const { policy } = place.paths;
  mkdirSync(dirname(policy));
  writeFileSync(policy, text);
  for (const edit of edits) edit(policy, place.paths);
  return readFileSync(policy, 'utf8');
}

const adds =
  (...hosts: Array<string | Addition>) =>
  (file: string, machine: { machinePolicy: string }) =>
    addRules(
      file,
      hosts.map((host) => (typeof host === 'string' ? addition(host) : host)),
      machine,
    );
const removes =
  (...hosts: string[]) =>
  (file: string, machine: { machinePolicy: string }) =>
    removeRules(file, hosts, machine);

function failureOf(act: () => unknown): Failure {
  try {
    act();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

const COMMENTED = `# top
version: 1   # v
allow:   # list
  # first
  - a.com   # why a

  # second
  - host: b.com
    # inner
    ports: [
      1,
      2 ]   # tail
  -
    host: c.com
  - "d.com"
# end
deny: [x.com, 'y.com' , z.com]
`;

describe('adding', () => {
  test('the first time writes the built-in policy, for the owner alone', () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    const result = addRules(policy, [addition('api.yourcompany.com')], place.paths);
    expect(result).toMatchObject({
      file: policy,
      created: true,
      builtIn: true,
      unchanged: [],
      denials: [],
      warnings: [],
    });
    expect(result.added).toMatchObject([
      { host: 'api.yourcompany.com', ports: [80, 443], source: { line: 9 } },
    ]);
    expect(readFileSync(policy, 'utf8')).toBe(`${BUILT_IN}\nallow:\n  - api.yourcompany.com\n`);
    expect(statSync(policy).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(policy)).mode & 0o777).toBe(0o700);
  });

  test('the first time below a machine-wide file begins without presets, for none held', () => {
    using place = temporaryFolder();
    const { policy, machinePolicy } = place.paths;
    writeFileSync(machinePolicy, 'allow: [only.example.com]\n');
    const result = addRules(policy, [addition('a.com')], place.paths);
    expect(result).toMatchObject({ created: true, builtIn: false });
    expect(readFileSync(policy, 'utf8')).toBe(`${BELOW_MACHINE}\nallow:\n  - a.com\n`);
    const hosts = [...rulesOf(loadPolicy(place).policy)].map(({ host }) => host);
    expect(hosts).toEqual(['only.example.com', 'a.com']);
  });

  test('puts a rule at the end of the list and changes nothing else', () => {
    const text = edited(COMMENTED, adds('n.com'));
    expect(text).toBe(COMMENTED.replace('  - "d.com"\n', '  - "d.com"\n  - n.com\n'));
  });

  test('writes options where there are any', () => {
    const text = edited(
      'allow:\n- a.com',
      adds(
        addition('db.x.com', { ports: [5432], until: Date.UTC(2026, 11, 1), note: 'SEC "12"' }),
        '*.x.com',
        '2001:db8::1',
      ),
    );
    expect(text).toBe(
      'allow:\n- a.com\n- host: db.x.com\n  ports: [5432]\n  until: 2026-12-01T00:00:00Z\n  note: "SEC \\"12\\""\n' +
        '- "*.x.com"\n- "2001:db8::1"\n',
    );
  });

  test('keeps lists on one line, empty lists and JSON as they are', () => {
    expect(edited('allow: [a.com, b.com] # c\n', adds('n.com'))).toBe('allow: [a.com, b.com, n.com] # c\n');
    expect(edited('allow: [] # c\n', adds(addition('n.com', { ports: [1] })))).toBe(
      'allow: [{ host: n.com, ports: [1] }] # c\n',
    );
    expect(edited('{"allow": ["a.com"]}', adds('n.com'))).toBe('{"allow": ["a.com", n.com]}');
    expect(edited('{"deny": []}', adds('n.com'))).toBe('{"deny": [], allow: [n.com]}');
  });

  test('keeps Windows line breaks', () => {
    expect(edited('allow:\r\n  - a.com\r\ndeny: []\r\n', adds('n.com'))).toBe(
      'allow:\r\n  - a.com\r\n  - n.com\r\ndeny: []\r\n',
    );
  });

  test('for one agent goes into its section, which is made where it is missing', () => {
    const bot = (host: string) => addition(host, { agent: 'bot' });
    expect(edited('version: 1\n', adds(bot('n.com')))).toBe(
      'version: 1\n\nagents:\n  bot:\n    allow:\n      - n.com\n',
    );
    expect(edited('agents:\n  ann:\n    inherit: false\n# end\n', adds(bot('n.com')))).toBe(
      'agents:\n  ann:\n    inherit: false\n  bot:\n    allow:\n      - n.com\n# end\n',
    );
    expect(edited('agents:\n  bot: { inherit: false }\n', adds(bot('n.com'), bot('m.com')))).toBe(
      'agents:\n  bot: { inherit: false, allow: [n.com, m.com] }\n',
    );
  });

  test('what is there already changes nothing, not even the file', () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    const first = addRules(policy, [addition('github.com')], place.paths);
    expect(first.unchanged).toMatchObject([{ source: { kind: 'preset' } }]);
    expect(existsSync(policy)).toBe(false);
    addRules(policy, [addition('a.com')], place.paths);
    const before = statSync(policy).ino;
    expect(addRules(policy, [addition('A.com.')], place.paths)).toMatchObject({
      added: [],
      unchanged: [{ host: 'a.com' }],
    });
    expect(statSync(policy).ino).toBe(before);
  });

  test('the same rule with another end or note replaces the old one in its place', () => {
    const ending = addition('a.com', { until: Date.UTC(2027, 0, 1) });
    expect(edited('allow:\n  - a.com # x\n  - b.com\n', adds(ending))).toBe(
      'allow:\n  - host: a.com\n    until: 2027-01-01T00:00:00Z # x\n  - b.com\n',
    );
    expect(
      edited('allow:\n  - host: a.com\n    note: n\n    until: 2026-01-01T00:00:00Z\n', adds('a.com')),
    ).toBe('allow:\n  - host: a.com\n    note: "n"\n');
    expect(edited('allow: [{host: a.com, ports: [22]}]\n', adds('a.com'))).toBe(
      'allow: [{host: a.com, ports: [22]}, a.com]\n',
    );
  });

  test('says what still denies it, and what is worth a second look', () => {
    using place = temporaryFolder();
    writeFileSync(place.paths.machinePolicy, 'deny: [a.com]');
    const result = addRules(
      place.paths.policy,
      [addition('a.com'), addition('*.amazonaws.com')],
      place.paths,
    );
    expect(result.denials).toMatchObject([{ host: 'a.com', source: { file: place.paths.machinePolicy } }]);
    expect(result.warnings).toMatchObject([{ rule: { host: '*.amazonaws.com' } }]);
  });

  test('refuses what is no rule, with the fix, and leaves no file behind', () => {
    using place = temporaryFolder();
    const failing = (host: string, options?: Options) =>
      failureOf(() =>
        addRules(place.paths.policy, [addition('good.com'), addition(host, options)], place.paths),
      );
    expect(failing('https://x.com/path')).toMatchObject({ code: 'bad-host', exit: 2, fix: 'Write x.com' });
    expect(failing('*.com').fix).toContain('--force');
    expect(failing('*')).toMatchObject({ code: 'bad-host' });
    expect(failing('a.com', { ports: [65_536] })).toMatchObject({ code: 'bad-port', exit: 2 });
    expect(failing('a.com', { agent: '../x' })).toMatchObject({ code: 'usage' });
    expect(existsSync(dirname(place.paths.policy))).toBe(false);
    const forced = addRules(place.paths.policy, [addition('*.com', { force: true })], place.paths);
    expect(forced.added).toMatchObject([{ host: '*.com', force: true }]);
  });

  test('is impossible below a locked machine-wide file', () => {
    using place = temporaryFolder();
    writeFileSync(place.paths.machinePolicy, 'locked: true');
    const failure = failureOf(() => addRules(place.paths.policy, [addition('a.com')], place.paths));
    expect(failure).toMatchObject({ code: 'policy-locked', exit: 1 });
    expect(failureOf(() => addPreset(place.paths.policy, 'node', place.paths)).code).toBe('policy-locked');
  });
});

describe('removing', () => {
  test('takes out the lines of a rule and no others', () => {
    expect(edited(COMMENTED, removes('b.com', 'd.com'))).toBe(
      COMMENTED.replace(/ {2}- host: b.com[\s\S]*# tail\n/, '').replace('  - "d.com"\n', ''),
    );
    expect(edited('allow: [a.com, b.com , "c.com"] # c\n', removes('b.com'))).toBe(
      'allow: [a.com, "c.com"] # c\n',
    );
    expect(edited('allow: [a.com, b.com , "c.com"] # c\n', removes('c.com', 'a.com'))).toBe(
      'allow: [b.com] # c\n',
    );
  });

  test('of the last rule leaves an empty list', () => {
    expect(edited('allow:   # list\n  - a.com\n# end\n', removes('A.com'))).toBe(
      'allow: []   # list\n# end\n',
    );
    expect(edited('allow: [a.com]', removes('a.com'))).toBe('allow: []');
  });

  test('takes out every allow rule of the host, those of agents too, but no denial', () => {
    const text =
      'allow: [a.com, {host: a.com, ports: [22]}]\ndeny: [a.com]\nagents: {bot: {allow: [a.com], deny: [a.com]}}\n';
    expect(edited(text, removes('a.com'))).toBe(
      'allow: []\ndeny: [a.com]\nagents: {bot: {allow: [], deny: [a.com]}}\n',
    );
  });

  test('says what was not there and what still allows it', () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    expect(removeRules(policy, ['github.com', 'none.com'], place.paths)).toMatchObject({
      removed: [],
      missing: ['github.com', 'none.com'],
      remaining: [{ host: 'github.com', rule: { source: { preset: 'default' } } }],
    });
    expect(existsSync(policy)).toBe(false);
    writeFileSync(place.paths.machinePolicy, 'version: 1\n');
    expect(removeRules(policy, ['github.com'], place.paths).remaining).toEqual([]);
    addRules(policy, [addition('a.x.com'), addition('*.x.com')], place.paths);
    expect(removeRules(policy, ['a.x.com'], place.paths)).toMatchObject({
      missing: [],
      remaining: [{ rule: { host: '*.x.com' } }],
    });
  });
});

describe('a rule with limits or upgrades', () => {
  test('is never rewritten without them', () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    const limited =
      'allow:\n  - { host: a.com, limits: { bytes_up: 5 MB/day } }\n  - { host: b.com, upgrade: [websocket] }\n';
    mkdirSync(dirname(policy));
    writeFileSync(policy, limited);
    const { added, warnings } = addRules(
      policy,
      [addition('a.com', { note: 'x' }), addition('b.com')],
      place.paths,
    );
    expect(added.length).toBe(2);
    expect(readFileSync(policy, 'utf8')).toStartWith(limited);
    expect(warnings.map(({ message }) => message)).toEqual(['it lifts the limit of line 2']);
  });
});

describe('a preset', () => {
  test('is added to the list, once', () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    expect(addPreset(policy, 'node', place.paths)).toEqual({
      ...{ file: policy, created: true, builtIn: true, changed: true },
    });
    expect(readFileSync(policy, 'utf8')).toBe(BUILT_IN.replace('[default]', '[default, node]'));
    expect(addPreset(policy, 'node', place.paths)).toMatchObject({ created: false, changed: false });
    expect(failureOf(() => addPreset(policy, 'nod', place.paths)).fix).toBe("Did you mean 'node'?");
  });
});

describe('the file', () => {
  test('that does not parse is never touched', () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    mkdirSync(dirname(policy));
    writeFileSync(policy, 'alow: []\n');
    for (const act of [
      () => addRules(policy, [addition('a.com')], place.paths),
      () => removeRules(policy, ['a.com'], place.paths),
      () => addPreset(policy, 'node', place.paths),
    ])
      expect(failureOf(act).code).toBe('policy-broken');
    expect(readFileSync(policy, 'utf8')).toBe('alow: []\n');
  });

  test('keeps its mode, and nothing else is left beside it but the lock', () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    addRules(policy, [addition('a.com')], place.paths);
    chmodSync(policy, 0o640);
    addRules(policy, [addition('b.com')], place.paths);
    expect(statSync(policy).mode & 0o777).toBe(0o640);
    expect(readdirSync(dirname(policy)).sort()).toEqual(['.egress.yaml.lock', 'egress.yaml']);
  });

  test('behind a symbolic link of our own is edited where it is', () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    const real = join(place.folder, 'dotfiles.yaml');
    writeFileSync(real, 'allow: [a.com]\n');
    mkdirSync(dirname(policy));
    symlinkSync(real, policy);
    addRules(policy, [addition('b.com')], place.paths);
    expect(lstatSync(policy).isSymbolicLink()).toBe(true);
    expect(readFileSync(real, 'utf8')).toBe('allow: [a.com, b.com]\n');
  });

  test('behind a link to nothing or to a file of somebody else is not written', () => {
    using place = temporaryFolder();
    const { policy } = place.paths;
    mkdirSync(dirname(policy));
    symlinkSync(join(place.folder, 'nothing'), policy);
    expect(failureOf(() => addRules(policy, [addition('b.com')], place.paths)).code).toBe(
      'policy-unwritable',
    );
    if (process.getuid!() !== 0) return;
    const other = join(place.folder, 'other.yaml');
    writeFileSync(other, 'allow: [a.com]\n');
    chownSync(other, 65_534, 65_534);
    const link = join(place.folder, 'link.yaml');
    symlinkSync(other, link);
    expect(failureOf(() => addRules(link, [addition('b.com')], place.paths)).message).toContain(
      'somebody else',
    );
    expect(readFileSync(other, 'utf8')).toBe('allow: [a.com]\n');
  });

  test('in a folder that cannot be written is left alone, with the reason', () => {
    using place = temporaryFolder();
    const blocked = join(place.folder, 'file', 'egress.yaml');
    writeFileSync(join(place.folder, 'file'), '');
    const failure = failureOf(() => addRules(blocked, [addition('a.com')], place.paths));
    expect(failure).toMatchObject({ code: 'policy-unwritable', exit: 1 });
  });

  test('takes the edits of many processes at once, none lost', async () => {
    using place = temporaryFolder();
    const script = `import { addRules } from ${JSON.stringify(join(import.meta.dir, 'edit.ts'))};
      for (let i = 0; i < 5; i++)
        addRules(${JSON.stringify(place.paths.policy)}, [{ host: \`h\${i}.p\${process.argv[1]}.com\`, ports: [], agent: null,
          until: null, note: null, force: false }], { machinePolicy: '/nonexistent' });`;
    const children = [0, 1, 2, 3].map((i) =>
      Bun.spawn([process.execPath, '-e', script, `${i}`], { stderr: 'inherit' }),
    );
    expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0, 0, 0]);
    expect(readFileSync(place.paths.policy, 'utf8').match(/ {2}- h\d/g)?.length).toBe(20);
  }, 20_000);
});
