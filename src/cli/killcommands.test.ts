/** The kill switch, as somebody at a shell sees it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createPerson, type Person } from './person.fixture.ts';

let person: Person;
beforeEach(() => {
  person = createPerson();
});
afterEach(() => person.leave());

describe('explain of what is stopped', () => {
  test('says who stopped it, why, and the command that ends just that', async () => {
    person.writePolicy('allow: [a.test]');
    await person.type('egress kill --agent bot --reason SEC-12');
    const { out } = await person.type('egress explain a.test --agent bot');
    expect(out).toMatch(
      /To allow it: clawctl egress resume --agent bot\. Now bot is stopped, by .+ since .+ \(SEC-12\)/,
    );
    const { change } = await person.json('egress explain a.test --agent bot --json');
    expect(change).toMatchObject({ command: 'clawctl egress resume --agent bot', edit: null });
    expect((await person.type('egress doctor')).out).toContain('To go on: clawctl egress resume --agent bot');
    await person.type('egress kill');
    const both = await person.json('egress explain a.test --agent bot --json');
    expect(both.change).toMatchObject({ command: 'clawctl egress resume' });
  });
});

describe('kill', () => {
  test('of a name that nobody has is told as JSON as well, with each name once', async () => {
    person.writePolicy(
      'agents: { bot: { from: [10.0.0.1] } }\nlisten: [{ address: "127.0.0.1:8881", agent: bot }]',
    );
    const { warning, already } = await person.json('egress kill --agent zzzzzzzz --json');
    expect(already).toBe(false);
    expect(warning).toContain('no policy of this user names zzzzzzzz');
    expect(warning).toEndWith('Possible: bot.');
    expect((await person.type('egress kill --agent zzzzzzzz')).err).toEndWith('  Possible: bot.\n');
    expect((await person.json('egress kill --agent bot --json')).warning).toBeNull();
  });

  test('without a reason says none', async () => {
    expect((await person.type(['egress', 'kill', '--reason', ''])).err).not.toContain('(');
    expect((await person.type('egress list')).err).not.toContain('()');
  });

  test('with a reason of several lines says it on one', async () => {
    const { err } = await person.type(['egress', 'kill', '--reason', 'one\nclawctl: all is well']);
    expect(err.split('\n')[0]).toEndWith(String.raw`(one\nclawctl: all is well)`);
    for (const words of ['list', 'doctor', 'resume'])
      expect((await person.type(`egress ${words}`)).err).not.toMatch(/^clawctl: all is well/m);
  });
});

test('resume says that a folder in the place of the kill file has to be removed', async () => {
  const file = join(person.home, 'state/clawctl/egress.kill');
  await person.type('egress kill');
  expect(existsSync(file)).toBe(true);
  await person.type('egress resume');
  mkdirSync(file);
  expect((await person.type('egress check github.com')).out).toContain('killed');
  const { code, err } = await person.type('egress resume');
  expect(code).toBe(1);
  expect(err).toContain(`${file} is a folder, and stops everything`);
  expect(err).toContain(`Remove the folder, after a look at what is in it: rm -r ${file}`);
});
