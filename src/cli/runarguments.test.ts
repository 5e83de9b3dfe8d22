import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { readRunArguments } from './runarguments.ts';

const read = (text: string) => readRunArguments(text === '' ? [] : text.split(' '));

describe('the arguments of run', () => {
  test('end at the command, whose own options are its own', () => {
    const result = read('--agent a --write /x --write=/y --quiet -- curl --fresh -- --agent b');
    expect(result).toMatchObject({ agent: 'a', write: ['/x', '/y'], quiet: true, fresh: false });
    expect(result!.command).toEqual(['curl', '--fresh', '--', '--agent', 'b']);
  });

  test('need no -- before the command', () => {
    expect(read('--fresh curl -v')).toMatchObject({ fresh: true, command: ['curl', '-v'] });
  });

  for (const text of [
    '',
    '--',
    '--agent',
    '--agent --quiet -- x',
    '--agent= -- x',
    '--help',
    '-h',
    '--quiet=1 -- x',
  ])
    test(`'${text}' is left to the full parser`, () => expect(read(text)).toBeNull());

  test('never throw, and never take the command for an option', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.array(fc.string(), { minLength: 1 }), (options, command) => {
        const result = readRunArguments([...options.filter((word) => word !== '--'), '--', ...command]);
        if (result !== null) expect(result.command.slice(-command.length)).toEqual(command);
      }),
    );
  });
});
