import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { givenBack, hasObeyed, putAside } from './environment.ts';

describe('what the runtime obeys', () => {
  for (const name of [
    'BUN_OPTIONS',
    'BUN_INSPECT',
    'NODE_OPTIONS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'LD_PRELOAD',
  ])
    test(`${name} is put aside`, () => {
      expect(hasObeyed({ [name]: 'x' }, true)).toBe(true);
      expect(hasObeyed(putAside({ [name]: 'x' }), true)).toBe(false);
    });

  test("what the launcher sets is its own, and never the command's", () => {
    const environment = { BUN_RUNTIME_TRANSPILER_CACHE_PATH: '/checkout' };
    expect(hasObeyed(environment, true)).toBe(false);
    expect(hasObeyed(environment, false)).toBe(true);
    expect(givenBack(environment)).toEqual({});
  });

  test('everything else stays where it is', () => {
    const environment = { HOME: '/h', PATH: '/bin', NO_COLOR: '1', MY_BUN_OPTIONS: 'x' };
    expect(putAside(environment)).toEqual(environment);
  });

  test('the command gets back all of it', () => {
    const name = fc.constantFrom('BUN_OPTIONS', 'LD_PRELOAD', 'HOME', 'NODE_ENV', 'X');
    fc.assert(
      fc.property(fc.dictionary(name, fc.string()), (environment) => {
        expect(givenBack(putAside(environment))).toEqual({ ...environment });
      }),
    );
  });
});
