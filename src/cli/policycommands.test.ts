/** The commands about rules, as somebody at a shell sees them. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultPreset } from '../policy/presets/default.ts';
import { createPerson, type Person } from './person.fixture.ts';

let person: Person;
beforeEach(() => {
  person = createPerson();
});
afterEach(() => person.leave());

const hostsOf = async () => (await person.json('egress list --json')).items.map((item) => item.host);

describe('the guide', () => {
  test('lists the default allowlist, and everything else as blocked', async () => {
    const { out, code } = await person.type('egress list');
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t').slice(0, 2));
    expect(lines).toEqual([
      ...defaultPreset.hosts.map((host) => [host, '✓ Allowed']),
      ['* (everything else)', '✗ Blocked'],
    ]);
    expect(code).toBe(0);
    expect(existsSync(person.policyFile)).toBe(false);
  });

  test('adds, lists and removes', async () => {
    expect(await person.type('egress add api.yourcompany.com')).toMatchObject({ code: 0 });
    expect(await person.type('egress add *.internal.company.com')).toMatchObject({ code: 0 });
    expect(await hostsOf()).toEqual([
      ...defaultPreset.hosts,
      'api.yourcompany.com',
      '*.internal.company.com',
    ]);
    expect(await person.type('egress remove api.yourcompany.com')).toMatchObject({ code: 0 });
    expect(await hostsOf()).toEqual([...defaultPreset.hosts, '*.internal.company.com']);
    expect(statSync(person.policyFile).mode & 0o077).toBe(0);
  });
});

describe('add', () => {
  test('keeps ports, agent, expiry and note', async () => {
    await person.type('egress add db.example.com --port 5432 --agent bot --for 2h --note SEC-12');
    const item = (await person.json('egress list --json')).items.at(-1)!;
    expect(item).toMatchObject({ host: 'db.example.com', ports: [5432], agents: ['bot'], note: 'SEC-12' });
    const until = Date.parse(item.until as string) - Date.now();
    expect(until).toBeGreaterThan(7_000_000);
    expect(until).toBeLessThan(7_300_000);
  });

  test('keeps comments and order', async () => {
    person.writePolicy('# mine\nversion: 1\nallow:\n  - a.test # first\n');
    await person.type('egress add b.test');
    const text = readFileSync(person.policyFile, 'utf8');
    expect(text).toContain('# mine');
    expect(text).toContain('a.test # first');
    expect(text.indexOf('a.test')).toBeLessThan(text.indexOf('b.test'));
  });

  test.each([
    ['https://x.com/path', 'x.com'],
    ['x.com/path', 'x.com'],
    ['x.com:99999', 'ort'],
    ['a*.com', '*.com'],
    ['xn--a', ''],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['*.com', '--force'],
    ['*', '--force'],
    ['10.0.0.1/8', ''],
  ])('refuses %p, says what to write, and writes nothing', async (host, hint) => {
    const { code, out, err } = await person.type(['egress', 'add', host]);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(hint);
    expect(existsSync(person.policyFile)).toBe(false);
  });

  test.each([
    ['--port 0', 'port'],
    ['--port x', 'port'],
    ['--for soon', 'duration'],
    ['--agent ../x', 'name'],
    ['--preset nonesuch', 'preset'],
    ['--note a\nb', 'one line'],
  ])('refuses %p', async (option, hint) => {
    const { code, err } = await person.type(
      `egress add ${option.startsWith('--preset') ? '' : 'a.test '}${option}`,
    );
    expect(code).not.toBe(0);
    expect(err).toContain(hint);
    expect(existsSync(person.policyFile)).toBe(false);
  });

  test('warns of a wide wildcard, and adds it', async () => {
    const { code, err } = await person.type('egress add *.amazonaws.com --force');
    expect(code).toBe(0);
    expect(err).toContain('*.amazonaws.com');
  });

  test('warns of a name that imitates an allowed one, as explain does', async () => {
    expect((await person.type('egress check githab.com')).out).toContain('It imitates github.com.');
    expect(JSON.parse((await person.type('egress check githab.com --json')).out).lookalike_of).toBe(
      'github.com',
    );
    expect(JSON.parse((await person.type('egress check github.com --json')).out).lookalike_of).toBe(null);
    expect((await person.type('egress explain githab.com')).out).toContain('imitates github.com');
    const { code, err } = await person.type('egress add githab.com');
    expect(code).toBe(0);
    expect(err).toContain('githab.com imitates github.com');
    expect((await person.type('egress add codeload.github.com')).err).not.toContain('imitates');
  });

  test('adds a preset', async () => {
    expect((await person.type('egress add --preset openai')).code).toBe(0);
    expect(await hostsOf()).toContain('api.openai.com');
  });

  test('never replaces a file that does not parse', async () => {
    const broken = 'version: 1\nalow: [a.test]\n';
    person.writePolicy(broken);
    const { code, err } = await person.type('egress add b.test');
    expect(code).toBe(2);
    expect(err).toContain(`${person.policyFile}:2:1`);
    expect(err).toContain("Did you mean 'allow'?");
    expect(readFileSync(person.policyFile, 'utf8')).toBe(broken);
  });
});

describe('remove', () => {
  test('explains what to do about a host that a preset allows', async () => {
    const { code, err } = await person.type('egress remove github.com');
    expect(code).toBe(1);
    expect(err).toContain('preset default');
    expect(err).toContain('deny');
  });

  test('says so when there is no such rule', async () => {
    const { code, err } = await person.type('egress remove nonesuch.test');
    expect(code).toBe(1);
    expect(err).toContain('nonesuch.test');
  });
});

describe('a policy file that others may write', () => {
  test('holds, and is named by whatever reads it, with the fix', async () => {
    person.writePolicy('allow: [a.test]');
    expect((await person.type('egress check a.test')).err).toBe('');
    const healthy = (await person.type('egress doctor')).out;
    expect(healthy).not.toContain('may write');
    chmodSync(person.policyFile, 0o622);
    const warning = `clawctl: warning: others may write ${person.policyFile}, and so the rules\n  Type: chmod go-w ${person.policyFile}\n`;
    for (const words of ['check a.test', 'explain a.test', 'list', 'add b.test'])
      expect(await person.type(`egress ${words}`)).toMatchObject({ code: 0, err: warning });
    const served = await person.type('egress serve --workers none');
    expect(served.err).toContain(`others may write ${person.policyFile}`);
    const { warnings } = await person.json('egress list --json');
    expect(warnings).toMatchObject([{ fix: `Type: chmod go-w ${person.policyFile}` }]);
    const { out, code } = await person.type('egress doctor');
    expect(out).toContain(`broken\tpolicy\tothers may write ${person.policyFile}`);
    expect(code).toBe(1);
  });

  test('is told from a key that everybody can read, of which doctor warns', async () => {
    const key = join(person.home, 'key.pem');
    writeFileSync(key, '', { mode: 0o644 });
    person.writePolicy(
      `listen: [{ address: "127.0.0.1:8443", agent: bot, tls: { certificate: /c, key: ${key} } }]`,
    );
    const told = `warning\tlistener\teverybody can read the key ${key}\tType: chmod o-rwx ${key}`;
    expect((await person.type('egress doctor')).out).toContain(told);
    chmodSync(key, 0o640);
    expect((await person.type('egress doctor')).out).not.toContain('everybody can read');
  });
});

describe('check and explain', () => {
  test('answer by exit code and by JSON', async () => {
    expect((await person.type('egress check github.com')).code).toBe(0);
    expect((await person.type('egress check attacker.com')).code).toBe(3);
    expect((await person.json('egress check attacker.com:8443 --json')) as object).toEqual({
      schema: 'clawctl.egress.check/v1',
      verdict: 'deny',
      reason: 'no-rule',
      host: 'attacker.com',
      port: 8443,
      agent: 'cli',
      rule: null,
      would_deny: false,
      lookalike_of: null,
    });
    const allowed = await person.json('egress check github.com --json');
    expect(allowed).toMatchObject({ verdict: 'allow', rule: { host: 'github.com', text: 'preset default' } });
  });

  test('take no port that the gateway would refuse for its spelling', async () => {
    person.writePolicy('allow: [a.test]');
    for (const words of [
      'check a.test:0443',
      'explain a.test:0443',
      'check [2001:db8::1]:0443',
      'add b.test --port 0443',
    ])
      expect(await person.type(`egress ${words}`)).toMatchObject({
        ...{ code: 2, out: '', err: "clawctl: '0443' is not a port.\n  Write 443.\n" },
      });
    expect((await person.type('egress check a.test:00')).err).toContain('A port is a whole number');
    expect((await person.type('egress check a.test:443')).code).toBe(0);
  });

  test('judge addresses that are known without asking anybody', async () => {
    person.writePolicy(`version: 1
allow: [metadata.test, {host: db.test, addresses: [10.0.0.0/8]}]
hosts: {metadata.test: 169.254.169.254, db.test: 10.1.2.3}`);
    expect((await person.json('egress check metadata.test --json')).reason).toBe('address-refused');
    expect((await person.json('egress check db.test --json')).verdict).toBe('allow');
  });

  test('a kill file that cannot be read kills', async () => {
    person.environment.XDG_STATE_HOME = '/dev/null/x';
    expect((await person.json('egress check github.com --json')).reason).toBe('killed');
  });

  test('explain suggests what changes the policy that it was asked about', async () => {
    const other = person.policyFile.replace('egress.yaml', 'my other.yaml');
    await Bun.write(other, 'version: 1\nallow: [a.test]\n');
    const words = ['egress', 'explain', 'attacker.com', '--policy', other];
    const { out } = await person.type(words);
    const command = `clawctl egress add attacker.com --policy '${other}'`;
    expect(out).toEndWith(`To allow it: ${command}\n`);
    expect(JSON.parse((await person.type([...words, '--json'])).out).change.command).toBe(command);
    expect((await person.type(['egress', 'add', 'attacker.com', '--policy', other])).code).toBe(0);
    expect((await person.type(words)).out).toContain('allowed');
  });

  test('explain and add say what localhost needs besides', async () => {
    const { out } = await person.type('egress explain localhost:8080');
    expect(out).not.toContain('egress add');
    const rule = /under allow: write (- \{.*\})\./.exec(out)![1]!;
    expect((await person.type('egress add localhost')).err).toContain('the rule cannot hold');
    person.writePolicy(`version: 1\nallow:\n  ${rule}\n`);
    expect(await person.type('egress check localhost:8080')).toMatchObject({ code: 0, err: '' });
  });

  test('explain says what a file would lack that is not there yet', async () => {
    expect((await person.type('egress explain github.com')).out).toContain(
      'begin it with presets: [default]',
    );
    person.writePolicy('version: 1\npresets: [default]\n');
    expect((await person.type('egress explain github.com')).out).not.toContain('begin it with');
  });

  test('explain says the hops and the command that would allow it', async () => {
    const { out, code } = await person.type('egress explain attacker.com');
    for (const word of ['accept', 'target', 'decide', 'dial', 'relay', 'clawctl egress add attacker.com'])
      expect(out).toContain(word);
    expect(code).toBe(0);
  });
});

describe('every call', () => {
  test.each(['egress blocked', 'egress stats', 'egress presets'])(
    '%p says that the policy is broken',
    async (words) => {
      person.writePolicy('version: 2\n');
      const { err, code } = await person.type(words);
      expect(err).toContain('the policy is broken');
      expect(code).toBe(0);
    },
  );

  test.each(['egress list', 'egress agents list', 'egress alerts list', 'egress alerts ack 1'])(
    '%p fails of a broken policy, and says so once',
    async (words) => {
      person.writePolicy('version: 2\n');
      const { err, code } = await person.type(words);
      expect(err.split(person.policyFile).length).toBe(2);
      expect(code).toBe(2);
    },
  );

  test('wrong usage is 2, with what was meant', async () => {
    const { code, err } = await person.type('egress lst');
    expect(code).toBe(2);
    expect(err).toContain('Did you mean list?');
  });

  test('nothing that somebody typed moves the cursor', async () => {
    for (const words of [
      ['egress', 'check', 'a\x1b[2J.com'],
      ['egress', '\x1b[2J'],
      ['egress', 'add', 'a.test', '--agent', '\x9b31m'],
    ]) {
      const { out, err } = await person.type(words);
      expect(out + err).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    }
  });

  test('what is planted in the working directory decides nothing', async () => {
    const { home } = person;
    const evil = `${home}/evil.js`;
    await Bun.write(evil, `require('fs').writeFileSync('${home}/planted', '')`);
    await Bun.write(`${home}/.env`, 'XDG_CONFIG_HOME=/nonexistent\nBUN_OPTIONS=--preload=./evil.js\n');
    await Bun.write(`${home}/bunfig.toml`, 'preload = ["./evil.js"]\n');
    await Bun.write(`${home}/package.json`, '{"name":"x","imports":{"#x":"./evil.js"}}');
    await Bun.write(`${home}/tsconfig.json`, '{"compilerOptions":{"paths":{"commander":["./evil.js"]}}}');
    await Bun.write(`${home}/node_modules/commander/index.js`, `require('${evil}')`);
    person.writePolicy('version: 1\nallow: [mine.test]\n');
    const environment = {
      BUN_OPTIONS: `--preload=${evil}`,
      BUN_INSPECT_PRELOAD: evil,
      NODE_OPTIONS: `--require=${evil}`,
    };
    const { out } = await person.type('egress list', { environment });
    expect(out).toContain('mine.test');
    expect(existsSync(`${home}/planted`)).toBe(false);
  });
});
