/** Completion as a shell asks for it. */
import { afterAll, describe, expect, test } from 'bun:test';
import { resolve } from 'node:path';
import { createPerson } from './person.fixture.ts';

const LAUNCHER = resolve(import.meta.dir, '../../clawctl');
const person = createPerson();
afterAll(() => person.leave());

/** What bash would offer for the last of the words, by the script that we print. */
function offered(...words: string[]): string[] {
  const script = `source <("$0" completion bash); COMP_WORDS=("$0" "$@"); COMP_CWORD=$#
    _clawctl "$0"; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const bash = Bun.spawnSync(['bash', '-c', script, LAUNCHER, ...words], { env: person.environment });
  return bash.stdout.toString().trim().split('\n').sort();
}

describe.skipIf(Bun.which('bash') === null)('bash completes', () => {
  test.each([
    [['eg'], ['egress']],
    [
      ['egress', 'st'],
      ['stats', 'status'],
    ],
    [
      ['egress', 'stats', '--by', ''],
      ['agent', 'host'],
    ],
    [['egress', 'add', '--preset', 'git'], ['github-read']],
    [['egress', 'run', '--fr'], ['--fresh']],
    [['completion', 'b'], ['bash']],
    // File names, which are the shell's own business.
    [['egress', 'run', '--', 'ls', ''], ['']],
    [['egress', 'run', '--policy', ''], ['']],
  ])('%p', (words, candidates) => {
    expect(offered(...words)).toEqual(candidates);
  });

  test('the hosts that can be removed', async () => {
    await person.type('egress add a.test *.b.test');
    expect(offered('egress', 'remove', '')).toEqual(['\\*.b.test', 'a.test']);
  });
});

describe.skipIf(Bun.which('bash') === null)('bash completes agents', () => {
  test('those that have a token, and those that the policy names', async () => {
    await person.type('egress agents add with-token');
    await person.type('egress add c.test --agent named');
    expect(offered('egress', 'agents', 'rotate', '')).toEqual(['with-token']);
    expect(offered('egress', 'agents', 'remove', '')).toEqual(['with-token']);
    expect(offered('egress', 'agents', 'r')).toEqual(['remove', 'rotate']);
    expect(offered('egress', 'env', '--agent', '')).toEqual(['named', 'with-token']);
    expect(offered('egress', 'env', '--format', '')).toEqual([
      'compose',
      'docker',
      'env-file',
      'json',
      'shell',
    ]);
  });
});

test('a shell that is not known is refused', async () => {
  expect((await person.type('completion tcsh')).err).toContain('bash, zsh or fish');
});
