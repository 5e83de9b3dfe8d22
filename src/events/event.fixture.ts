/** Events and stores for this room's tests. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CloseEvent, DecisionEvent, ProgressEvent, RefusalEvent } from './event.ts';

/** Path of a store in a new folder of its own. */
export function newStore(): string {
  return join(mkdtempSync(join(tmpdir(), 'clawctl-events-')), 'state', 'egress.db');
}

const common = { agent: 'claude', session: 'session-1', connection: 1, host: 'api.example.com', port: 443 };

export function allowed(fields: Partial<DecisionEvent> = {}): DecisionEvent {
  return {
    kind: 'decision',
    time: Date.now(),
    ...common,
    protocol: 'tcp',
    verdict: 'allow',
    reason: 'rule',
    rule: 'egress.yaml:12',
    wouldDeny: false,
    ...fields,
  };
}

export function denied(fields: Partial<DecisionEvent> = {}): DecisionEvent {
  return allowed({ host: 'evil.example', verdict: 'deny', reason: 'no-rule', rule: null, ...fields });
}

export function refusal(fields: Partial<RefusalEvent> = {}): RefusalEvent {
  return { kind: 'refusal', time: Date.now(), ...common, reason: 'sni-mismatch', detail: null, ...fields };
}

export function closed(fields: Partial<CloseEvent> = {}): CloseEvent {
  return {
    kind: 'close',
    time: Date.now(),
    ...common,
    outcome: 'done',
    reason: null,
    bytesUp: 10,
    bytesDown: 20,
    duration: 5,
    ...fields,
  };
}

export function passing(fields: Partial<ProgressEvent> = {}): ProgressEvent {
  return { kind: 'progress', time: Date.now(), ...common, bytesUp: 4, bytesDown: 6, duration: 2, ...fields };
}
