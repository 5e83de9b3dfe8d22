/** Octets cut in two at every place: the answer, and what happens elsewhere, must not depend on where. */
import { describe, expect, test } from 'bun:test';
import { inRig } from '../rig/world.ts';
import { type Case, octetsOf } from './case.ts';
import { converse, type Sending } from './conversation.ts';
import { breaches } from './mustnot.ts';
import { accepts, prepare } from './run.ts';
import { CONVERSATIONS } from './scope.ts';
import { inSetting } from './setting.ts';

/** Cut everywhere up to this length; of longer ones at so many places. */
const EVERYWHERE = 600;
const SOMEWHERE = 60;
const AT_ONCE = 64;
/** Milliseconds between the two parts: long enough to arrive apart. */
const APART = 3;

const CHANNELS = ['transparent-tls', 'transparent-http', 'connect', 'http-proxy', 'socks5'];

/** The octets that are cut: all of one message, or the last of several. */
function cutLength(each: Case): number {
  const { segments } = each.input;
  if (segments === undefined || segments.length === 1) return octetsOf(each)?.length ?? 0;
  if (segments.some((segment) => segment.delay_ms !== undefined || segment.wait_ms !== undefined)) return 0;
  return Math.max(...segments.map(({ hex, raw }) => raw?.length ?? (hex?.length ?? 0) / 2));
}

function placesOf(length: number): number[] {
  if (length <= EVERYWHERE) return Array.from({ length: length - 1 }, (_, i) => i + 1);
  const step = length / SOMEWHERE;
  return Array.from({ length: SOMEWHERE - 1 }, (_, i) => Math.round((i + 1) * step));
}

const cutAt =
  (place: number): Sending =>
  async (client, octets) => {
    if (place >= octets.length) return client.say(octets);
    client.say(octets.subarray(0, place));
    await Bun.sleep(APART);
    client.say(octets.subarray(place));
  };

describe.skipIf(!inRig)('cut in two at every place', () => {
  const setting = inSetting();

  for (const channel of CHANNELS)
    test(`the cases of ${channel} are answered the same`, async () => {
      const { stand, subject } = setting;
      const wrong: string[] = [];
      for (const each of CONVERSATIONS.filter((each) => each.channel === channel && cutLength(each) > 1)) {
        // What is cut and then waits for its time limit takes as long as that, each time.
        if (each.class === 'resource-exhaustion' && channel !== 'http-proxy') continue;
        if (!prepare(each, stand, subject)) continue;
        const places = placesOf(cutLength(each));
        for (let at = 0; at < places.length; at += AT_ONCE) {
          const batch = places.slice(at, at + AT_ONCE);
          const outcomes = await Promise.all(batch.map((place) => converse(each, subject, cutAt(place))));
          for (const [i, { verdict }] of outcomes.entries())
            if (!accepts(each, verdict)) wrong.push(`${each.id} cut at ${batch[i]}: ${verdict}`);
          const allowed = outcomes.every(({ verdict }) => verdict === 'allow');
          const heard = outcomes.map((outcome) => outcome.heard).join('');
          const { visits } = stand.good;
          for (const visit of visits.length === 0 ? [null] : visits) {
            const good = { ...stand.good, visits: visit === null ? [] : [visit] };
            // Each of them may look the name up.
            const names = { ...stand.names, questions: [...new Set(stand.names.questions)] };
            const found = breaches(each, {
              stand: { ...stand, good, names },
              heard,
              allowed,
              controlTook: 0,
            });
            wrong.push(...found.map((text) => `${each.id} cut at ${batch[0]}…: ${text}`));
          }
          stand.forget();
        }
      }
      expect(wrong).toEqual([]);
    }, 120_000);
});
