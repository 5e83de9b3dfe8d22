/**
 * What waits to be delivered, durably. A message is put here in the same transaction as what it tells about; it leaves
 * when a receiver has taken it, so it is delivered at least once, always under the same idempotency key. Every entry
 * of `notify` is a lane of its own, in order for one incident; a lane on which nobody gets through rests as a whole.
 */
import type { Database } from 'bun:sqlite';
import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Notification } from '../channels/message.ts';
import type { Sent } from '../channels/sent.ts';
import type { Incident, Transition } from '../incident.ts';
import { eachOnce, type Recipient } from '../recipient.ts';
import { backOff } from './backoff.ts';
import { createOwners, type Owners } from './owner.ts';
import { Tries } from './tries.ts';

/** Milliseconds that one attempt may hold a message; longer than any attempt lasts. */
const LEASE = 30_000;
/**
 * After so long in vain a message is dead, if it was really tried; one that waits for its channel to be configured
 * waits longer, and so does one that only short commands have tried, each once.
 */
const PATIENCE = 24 * 3_600_000;
const PATIENCE_UNCONFIGURED = 30 * 24 * 3_600_000;
const LEAST_ATTEMPTS = 3;
/**
 * Nothing waits longer for its next attempt: what is due later was reckoned by a clock that has been set back, and so
 * was what was put here later than now.
 */
const FARTHEST = 2 * 3_600_000;
/** How long the delivered and the dead are remembered. */
const MEMORY = 30 * 24 * 3_600_000;
/** Messages that may wait in one lane. Past them the oldest is dead: somebody who has so many waiting reads none. */
const MOST_WAITING = 10_000;

export interface Delivery {
  id: number;
  lane: string;
  /** Since when it waits, wall time: since it was put there, or a person had it tried anew. */
  made: number;
  attempts: number;
  notification: Notification;
}

export type Outcome = Sent | { state: 'dead'; detail: string };

export interface Outbox {
  /** Inside the caller's transaction. A lane alone is any policy's. Putting the same again changes nothing. Answers the keys. */
  put(incident: Incident, transition: Transition, recipients: readonly (Recipient | string)[]): string[];
  /** Lanes in which something waits for this policy's channels. */
  lanes(): string[];
  /** Takes the next message of a lane in hand, if one is due. */
  take(lane: string): Delivery | null;
  /** What became of it. Answers what it comes to: a message that has waited too long is dead. */
  settle(delivery: Delivery, sent: Sent): Outcome;
  /** Gives back what was taken and not tried. */
  giveBack(delivery: Delivery): void;
  /** Milliseconds until something is due in one of these lanes; null for nothing. */
  nextDue(lanes: readonly string[]): number | null;
  /** Forgets what ended long ago, and gives up what waits for a policy that is in use no more. */
  forget(): void;
}

/**
 * `source`: the policy whose channels there are here; what is another's is left to its processes. Left out: what is of
 * none. `notice`: told inside the transaction in which a delivery ends.
 */
export interface OutboxOptions {
  source?: string;
  random?: () => number;
  owners?: Owners;
  notice?: (topic: 'alert-delivered' | 'alert-undelivered', text: string) => void;
}

interface Row {
  id: number;
  lane: string;
  body: string;
  made: number;
  attempts: number;
}

/** What is delivered here. `:source` stands for the policy. */
const OURS = '(source IS NULL OR source = :source)';
/** What comes later about an incident never overtakes what came before it. `:lane` is the lane. */
const FIRST_OF_ITS_INCIDENT = `NOT EXISTS (
  SELECT 1 FROM delivery AS before
  WHERE before.state = 'waiting' AND before.lane = :lane AND before.source IS delivery.source
    AND before.incident = delivery.incident AND before.id < delivery.id)`;

export function createOutbox(db: Database, clock: Clock, options: OutboxOptions = {}): Outbox {
  const { source = '', random = Math.random, owners = createOwners(), notice = () => {} } = options;
  const insert = db.query(`
    INSERT INTO delivery (key, lane, source, incident, body, state, made, due, attempts)
    VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, 0) ON CONFLICT (key) DO NOTHING`);
  const crowd = db.query(`
    SELECT id, lane, body, made, attempts FROM delivery
    WHERE state = 'waiting' AND lane = ? AND source IS ? ORDER BY id DESC LIMIT -1 OFFSET ${MOST_WAITING}`);
  const end = db.query(`
    UPDATE delivery SET state = ?, ended = ?, detail = ?, attempts = attempts + ?, owner = NULL, leased = NULL
    WHERE id = ? AND state = 'waiting'`);
  const again = db.query(`
    UPDATE delivery SET due = ?1, made = min(made, ?5), detail = ?2, attempts = attempts + ?3, owner = NULL, leased = NULL
    WHERE id = ?4 AND state = 'waiting'`);
  const lanes = db.query(`SELECT DISTINCT lane FROM delivery WHERE state = 'waiting' AND ${OURS}`);
  const rest = db.query('SELECT rests FROM lane WHERE name = ?');
  const next = db.query(`
    SELECT id, lane, body, made, attempts, owner, leased FROM delivery
    WHERE state = 'waiting' AND lane = :lane AND ${OURS} AND (due <= :now OR due > :farthest OR made > :now)
      AND ${FIRST_OF_ITS_INCIDENT}
    ORDER BY id LIMIT 20`);
  const fromLater = db.query(
    `SELECT 1 FROM delivery WHERE state = 'waiting' AND lane = :lane AND ${OURS} AND made > :now LIMIT 1`,
  );
  const lease = db.query('UPDATE delivery SET owner = ?, leased = ? WHERE id = ?');
  const release = db.query('UPDATE delivery SET owner = NULL, leased = NULL WHERE id = ? AND owner = ?');
  const laneWorks = db.query('DELETE FROM lane WHERE name = ?');
  const laneFails = db.query(`
    INSERT INTO lane (name, failures, rests) VALUES (?, 1, ?)
    ON CONFLICT (name) DO UPDATE SET failures = failures + 1, rests = excluded.rests`);
  const failures = db.query('SELECT failures FROM lane WHERE name = ?');
  const due = db.query(`
    SELECT max(min(due), coalesce((SELECT rests FROM lane WHERE name = :name), 0)) AS due
    FROM delivery WHERE state = 'waiting' AND lane = :lane AND ${OURS} AND ${FIRST_OF_ITS_INCIDENT}`);
  const forget = db.query('DELETE FROM delivery WHERE ended < ?');
  const orphans = db.query(`
    SELECT id, lane, body, made, attempts FROM delivery
    WHERE state = 'waiting' AND source <> ? AND made < ? LIMIT 1000`);

  const tries = new Tries(clock);
  const nameOf = (lane: string) => laneName(lane, source);
  const finish = (
    id: number,
    lane: string,
    note: Notification,
    state: 'delivered' | 'dead',
    detail: string,
    tried: 0 | 1,
  ) => {
    end.run(state, clock.now(), detail, tried, id);
    tries.forget(id);
    const what = `${note.incident.rule} ${note.transition} (${note.incident.id}) to ${lane}, ${note.key}: ${detail}`;
    notice(state === 'delivered' ? 'alert-delivered' : 'alert-undelivered', what);
  };

  const settle = db.transaction((delivery: Delivery, sent: Sent): Outcome => {
    const { id, lane, made, attempts, notification } = delivery;
    const now = clock.now();
    const age = now - made;
    switch (sent.state) {
      case 'delivered':
        laneWorks.run(nameOf(lane));
        finish(id, lane, notification, 'delivered', sent.detail, 1);
        return sent;
      case 'refused':
        laneWorks.run(nameOf(lane));
        finish(id, lane, notification, 'dead', sent.detail, 1);
        return { state: 'dead', detail: sent.detail };
      case 'unconfigured':
        if (age > PATIENCE_UNCONFIGURED) {
          finish(id, lane, notification, 'dead', sent.detail, 0);
          return { state: 'dead', detail: sent.detail };
        }
        again.run(now, sent.detail, 0, id, now);
        return sent;
      case 'later': {
        const isTried = tries.failed(id) || (age > PATIENCE_UNCONFIGURED && attempts + 1 >= LEAST_ATTEMPTS);
        if (age > PATIENCE && isTried) {
          finish(id, lane, notification, 'dead', sent.detail, 1);
          return { state: 'dead', detail: sent.detail };
        }
        const before = (failures.get(nameOf(lane)) as { failures: number } | null)?.failures ?? 0;
        const wait = backOff(Math.max(attempts, sent.everybody ? before : 0) + 1, sent.after, random());
        again.run(now + wait, sent.detail, 1, id, now);
        if (sent.everybody) laneFails.run(nameOf(lane), now + wait);
        return sent;
      }
    }
  });

  const take = db.transaction((lane: string): Delivery | null => {
    const now = clock.now();
    const rests = (rest.get(nameOf(lane)) as { rests: number } | null)?.rests ?? 0;
    if (rests > now && rests <= now + FARTHEST && fromLater.get({ lane, source, now }) === null) return null;
    const rows = next.all({ lane, source, now, farthest: now + FARTHEST }) as (Row & {
      owner: string | null;
      leased: number | null;
    })[];
    const free = rows.find(({ owner, leased }) => owner === null || leased! <= now || owners.isGone(owner));
    if (free === undefined) return null;
    lease.run(owners.own, now + LEASE, free.id);
    const { id, made, attempts, body } = free;
    return { id, lane, made, attempts, notification: JSON.parse(body) };
  });

  const forgetAll = db.transaction(() => {
    forget.run(clock.now() - MEMORY);
    for (const { id, lane, body } of orphans.all(source, clock.now() - PATIENCE_UNCONFIGURED) as Row[])
      finish(id, lane, JSON.parse(body), 'dead', 'no process of its policy came to deliver it', 0);
  });

  return {
    put(incident, transition, recipients) {
      const time = clock.now();
      const each = recipients.map((one) => (typeof one === 'string' ? { lane: one, source: null } : one));
      return eachOnce(each).map(({ lane, source: theirs }) => {
        const key = keyOf(incident.id, transition, lane, theirs);
        const notification: Notification = { key, transition, time, incident };
        insert.run(key, lane, theirs, incident.id, JSON.stringify(notification), time, time);
        for (const row of crowd.all(lane, theirs) as Row[])
          finish(row.id, lane, JSON.parse(row.body), 'dead', 'too many were waiting', 0);
        return key;
      });
    },
    lanes: () => (lanes.all({ source }) as { lane: string }[]).map(({ lane }) => lane),
    take: (lane) => take.immediate(lane),
    settle: (delivery, sent) => settle.immediate(delivery, sent),
    giveBack: ({ id }) => void release.run(id, owners.own),
    nextDue(laneNames) {
      const moments = laneNames.map(
        (lane) =>
          (due.get({ lane, source, name: nameOf(lane) }) as { due: number | null } | null)?.due ?? null,
      );
      const soonest = Math.min(...moments.filter((moment) => moment !== null));
      return soonest === Number.POSITIVE_INFINITY ? null : Math.max(0, soonest - clock.now());
    },
    forget: () => forgetAll.immediate(),
  };
}

/** By which a lane rests: a name leads elsewhere in another policy. */
export const laneName = (lane: string, source: string) => (source === '' ? lane : `${source}\n${lane}`);

/** The same for the same transition of the same incident on the same lane of a policy, whoever computes it. */
export function keyOf(
  incident: string,
  transition: Transition,
  lane: string,
  source: string | null = null,
): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([incident, transition, lane, ...(source === null ? [] : [source])]))
    .digest('base64url');
  return `clawctl_${digest.slice(0, 32)}`;
}
