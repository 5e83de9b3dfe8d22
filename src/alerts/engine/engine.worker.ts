/**
 * The thread that evaluates alerts and delivers their messages, away from the data path. Every gateway has one; of
 * those on a machine one evaluates, and the others stand by.
 */
import { systemClock } from '../../base/clock.ts';
import { compileFromNowOn } from '../../base/compiler.ts';
import { Failure } from '../../base/failure.ts';
import { type LoadedPolicy, loadPolicy, type PolicySource } from '../../config/load.ts';
import { lookEvery } from '../../config/look.ts';
import { type WatchedTokens, watchTokens } from '../../config/tokens.ts';
import { watchPolicy } from '../../config/watch.ts';
import { identityOf, isCorrupt } from '../../events/store.ts';
import { alertsOf, channelsOf } from '../../policy/policy.ts';
import { notice } from '../audit.ts';
import { takeVariables } from '../channels/variables.ts';
import { createDeliveries } from '../delivery/delivery.ts';
import { createOutbox } from '../delivery/outbox.ts';
import { sourceOf } from '../recipient.ts';
import { openAlertStore, replaceDamaged } from '../store.ts';
import { createEngine } from './engine.ts';
import type { AlertsMessage, AlertsPlaces } from './start.ts';

declare const self: Worker;

/** Milliseconds between looks: of the one that evaluates, of those that stand by, and after something failed. */
const LOOK = 250;
const STAND_BY = 500;
const RETRY = 1_000;

let stopping: { milliseconds: number } | null = null;
let wake = () => {};

compileFromNowOn();
lookEvery(LOOK);
self.onmessage = ({ data }: MessageEvent<AlertsMessage>) => {
  if ('stop' in data) {
    stopping = { milliseconds: data.stop };
    wake();
  } else {
    watch(data).finally(() => self.postMessage('stopped'));
  }
};

async function watch(places: AlertsPlaces): Promise<void> {
  const { paths, policyFile, environment = {} } = places;
  const source = policyFile === null ? { paths } : { paths, policyFile };
  let loaded: LoadedPolicy | null = null;
  const following = watchPolicy(
    source,
    (next) => {
      loaded = next;
      takeVariables(environment, channelsOf(next.policy));
      parts?.deliveries.reconsider();
      wake();
    },
    () => {}, // The gateway says so, and the policy before it stays in force.
  );
  let tokens: WatchedTokens | null = null;
  let parts: Parts | null = null;
  try {
    loaded = loadedFrom(source);
    if (loaded !== null) takeVariables(environment, channelsOf(loaded.policy));
    const policy = () => loaded!.policy;
    const tokensFollowed = watchTokens(
      paths.tokens,
      () => {},
      () => {},
    );
    tokens = tokensFollowed;
    const isKnown = (agent: string) =>
      tokensFollowed.tokens()?.has(agent) === true || places.agents?.includes(agent) === true;
    while (stopping === null) {
      let wait = RETRY;
      try {
        // One that is broken now may be mended, and what is recorded until then is still there.
        if (loaded !== null) {
          parts = await unlessReplaced(parts);
          parts ??= open(places, policy, isKnown);
          wait = step(parts);
        }
      } catch (error) {
        // A database that cannot be used now can be later; `doctor` says what is wrong with it.
        await parts?.close();
        if (parts !== null && isCorrupt(error)) parts.replace();
        parts = null;
      }
      if (wait > 0) await Promise.race([Bun.sleep(wait), new Promise<void>((resolve) => (wake = resolve))]);
      else await new Promise(setImmediate);
    }
    if (loaded === null) return;
    parts = await unlessReplaced(parts);
    parts ??= open(places, policy, () => false);
    await finish(parts, stopping.milliseconds);
  } catch {
    // What is left is taken up by the next engine.
  } finally {
    following.close();
    tokens?.close();
    parts?.engine.close();
  }
}

/** Null where it is none. The gateway says so, and goes by the one before it. */
function loadedFrom(source: PolicySource): LoadedPolicy | null {
  try {
    return loadPolicy(source);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return null;
  }
}

type Parts = ReturnType<typeof open>;

function open(
  { paths, policyFile }: AlertsPlaces,
  policy: () => LoadedPolicy['policy'],
  isKnown: (agent: string) => boolean,
) {
  const db = openAlertStore(paths.alerts);
  const identity = identityOf(paths.alerts);
  const source = sourceOf(paths, policyFile);
  const outbox = createOutbox(db, systemClock, {
    source,
    notice: (topic, text) => notice(db, systemClock.now(), topic, text),
  });
  const engine = createEngine({
    ...{ store: paths.store, path: paths.alerts, db, outbox, clock: systemClock },
    ...{ source, rules: () => alertsOf(policy()), context: { policy, isKnown } },
  });
  const deliveries = createDeliveries({ outbox, channels: () => channelsOf(policy()) });
  deliveries.start();
  return {
    ...{ engine, deliveries },
    /** Somebody moved it away: what is written to it now nobody sees, and another engine may have begun a new one. */
    isReplaced: () => identityOf(paths.alerts) !== identity,
    replace: () => replaceDamaged(paths.alerts, identity),
    async close() {
      engine.close();
      await deliveries.close();
      db.close();
    },
  };
}

/** Null where their database was moved away; they are closed then. */
async function unlessReplaced(parts: Parts | null): Promise<Parts | null> {
  if (parts?.isReplaced() !== true) return parts;
  await parts.close();
  return null;
}

/** Answers when to look again. */
function step({ engine, deliveries }: Parts): number {
  const { isHolder, isBehind, isTelling } = engine.step();
  if (isTelling) deliveries.wake();
  return isBehind ? 0 : isHolder ? LOOK : STAND_BY;
}

/** Evaluates what is there and delivers what is due, for so long at most. */
async function finish({ engine, deliveries }: Parts, milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  while (performance.now() < end && engine.step().isBehind) await new Promise(setImmediate);
  await deliveries.drain(Math.max(1, end - performance.now()));
  await deliveries.close();
  // What was delivered meanwhile belongs in the record, too.
  engine.step();
}
