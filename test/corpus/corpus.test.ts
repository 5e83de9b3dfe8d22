/** Every case of the corpus that is a conversation, against this gateway, with the eyes of the stand on its side effects. */
import { describe, expect, test } from 'bun:test';
import { inRig } from '../rig/world.ts';
import { run } from './run.ts';
import { CONVERSATIONS } from './scope.ts';
import { inSetting } from './setting.ts';

describe.skipIf(!inRig)('the corpus', () => {
  const setting = inSetting();

  for (const channel of [
    'policy',
    'dns',
    'transparent-tls',
    'transparent-http',
    'connect',
    'socks5',
    'http-proxy',
  ])
    for (const each of CONVERSATIONS.filter((each) => each.channel === channel))
      test(`${each.id} ${each.title}`, async () => {
        const { stand, subject } = setting;
        expect(await run(each, stand, subject)).toEqual([]);
      });

  // Where the client names the host itself, octets that name another than is allowed must get no further.
  for (const each of CONVERSATIONS.filter(({ channel }) => channel.startsWith('transparent')))
    test(`${each.id} where no name stands behind the address`, async () => {
      const { stand, subject } = setting;
      const unbound = { ...each, input: { ...each.input, unbound: true } };
      expect(await run(unbound, stand, subject)).toEqual([]);
    });
});
