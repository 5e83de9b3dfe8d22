/** Every case of the corpus that is a conversation, against this gateway, with the eyes of the stand on its side effects. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { inRig } from '../rig/world.ts';
import { run } from './run.ts';
import { CONVERSATIONS } from './scope.ts';
import { openStand, type Stand } from './stand.ts';
import { createSubject, type Subject } from './subject.ts';

describe.skipIf(!inRig)('the corpus', () => {
  let stand: Stand;
  let subject: Subject;
  beforeAll(async () => {
    stand = await openStand();
    subject = await createSubject();
  });
  afterAll(async () => {
    await subject.close();
    stand.close();
  });

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
        expect(await run(each, stand, subject)).toEqual([]);
      });

  // Where the client names the host itself, octets that name another than is allowed must get no further.
  for (const each of CONVERSATIONS.filter(({ channel }) => channel.startsWith('transparent')))
    test(`${each.id} where no name stands behind the address`, async () => {
      const unbound = { ...each, input: { ...each.input, unbound: true } };
      expect(await run(unbound, stand, subject)).toEqual([]);
    });
});
