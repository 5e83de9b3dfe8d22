/** What every call of the program tells: that messages about alerts wait, or were given up, and why. */
import { existsSync } from 'node:fs';
import type { AlertsReading, WaitingLane } from '../alerts/reading.ts';
import { sourceOf } from '../alerts/recipient.ts';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import { printable } from '../names/display.ts';

/** Milliseconds in which a message that nobody has tried yet is nothing to speak of. */
const SOON = 10_000;
const MOST_LANES = 3;

/** Milliseconds for which an ending run delivers what others have left. */
const PATIENCE = 5_000;

/** Delivers what is due and can be, as every run does at its end. */
export async function deliverWaiting(paths: Paths, policyFile?: string): Promise<void> {
  if (!existsSync(paths.alerts)) return;
  try {
    const { openAlertsReading } = await import('../alerts/reading.ts');
    const reading = openAlertsReading(paths.alerts);
    const due = reading?.due(systemClock.now(), sourceOf(paths, policyFile)) ?? [];
    reading?.close();
    if (due.length === 0) return;
    const missing = await missingOf(paths, policyFile);
    if (due.every((lane) => missing(lane) !== null)) return;
    const { openDesk } = await import('./alerts/desk.ts');
    const desk = openDesk(policyFile);
    try {
      await desk.deliver(PATIENCE);
    } finally {
      desk.close();
    }
  } catch (error) {
    // Every command tells what waits.
    if (!(error instanceof Failure)) throw error;
  }
}

/** Sentences; none where all is well. Takes a file's existence to answer where there never was an alert. */
export async function waitingMessages(paths: Paths, policyFile?: string): Promise<string[]> {
  if (!existsSync(paths.alerts)) return [];
  try {
    const { openAlertsReading } = await import('../alerts/reading.ts');
    const reading = openAlertsReading(paths.alerts);
    if (reading === null) return [];
    const { waiting, dead } = reading.standing();
    reading.close();
    const sentences = waiting.length === 0 ? [] : await waitingSentences(paths, waiting, policyFile);
    if (dead > 0)
      sentences.push(
        `${messages(dead)} could not be delivered and ${dead === 1 ? 'was' : 'were'} given up; try again with: clawctl egress alerts deliver --retry`,
      );
    return sentences;
  } catch (error) {
    if (error instanceof Failure) return [error.message];
    throw error;
  }
}

const messages = (count: number) => `${count} ${count === 1 ? 'message' : 'messages'} about alerts`;

async function waitingSentences(
  paths: Paths,
  waiting: ReturnType<AlertsReading['standing']>['waiting'],
  policyFile: string | undefined,
): Promise<string[]> {
  const missing = await missingOf(paths, policyFile);
  const own = sourceOf(paths, policyFile);
  const sentences: string[] = [];
  const ours = waiting.filter(({ source }) => source === null || source === own);
  const lacking = ours.flatMap(({ lane, count }) => {
    const what = missing(lane);
    return what === null ? [] : [{ lane, count, what }];
  });
  for (const { lane, count, what } of lacking.slice(0, MOST_LANES))
    sentences.push(
      `${messages(count)} cannot be delivered to ${printable(lane)} yet: ${what}; see: clawctl egress alerts check`,
    );
  if (lacking.length > MOST_LANES)
    sentences.push(
      `nor can those to ${lacking.length - MOST_LANES} others; see: clawctl egress alerts check`,
    );
  const now = systemClock.now();
  const isLate = ({ tried, since }: WaitingLane) => tried > 0 || now - since > SOON;
  const late = ours.filter((each) => missing(each.lane) === null && isLate(each));
  if (late.length > 0)
    sentences.push(
      `${messages(late.reduce((sum, { count }) => sum + count, 0))} ${late[0]!.count === 1 && late.length === 1 ? 'waits' : 'wait'} to be delivered; see: clawctl egress alerts deliver`,
    );
  // Which channels another policy has, and whether they can be used where it is, is not known here.
  const others = Map.groupBy(
    waiting.filter((each) => !ours.includes(each) && isLate(each)),
    ({ source }) => source!,
  );
  for (const [source, lanes] of [...others].slice(0, MOST_LANES)) {
    const count = lanes.reduce((sum, lane) => sum + lane.count, 0);
    sentences.push(
      `${messages(count)} ${count === 1 ? 'waits' : 'wait'} for the channels of ${printable(source)}; see: clawctl egress alerts deliver --policy ${printable(source)}`,
    );
  }
  return sentences;
}

/** What a lane lacks; nothing is known while the policy is broken, which others tell. */
async function missingOf(
  paths: Paths,
  policyFile: string | undefined,
): Promise<(lane: string) => string | null> {
  try {
    const [{ loadPolicy }, { channelsOf }, { missingFor }] = await Promise.all([
      import('../config/load.ts'),
      import('../policy/policy.ts'),
      import('../alerts/delivery/lane.ts'),
    ]);
    const { policy } = loadPolicy(policyFile === undefined ? { paths } : { paths, policyFile });
    const channels = channelsOf(policy);
    return (lane) => missingFor(lane, channels);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return () => null;
  }
}
