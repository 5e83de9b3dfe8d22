/** What the tests of a group share: the world around a gateway, and the gateway that is asked. */
import { afterAll, beforeAll } from 'bun:test';
import { openStand, type Stand } from './stand.ts';
import { createSubject, type Subject } from './subject.ts';

/** To be called within the group. Both are there while its tests run, and not before. */
export function inSetting(): { stand: Stand; subject: Subject } {
  const setting = {} as { stand: Stand; subject: Subject };
  beforeAll(async () => {
    setting.stand = await openStand();
    setting.subject = await createSubject();
  });
  afterAll(async () => {
    await setting.subject.close();
    setting.stand.close();
  });
  return setting;
}
