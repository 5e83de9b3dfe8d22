/** The rows of one connection: its decision, perhaps a refusal, its close; one set for each HTTP request. */
import { type CloseEvent, type DecisionEvent, type RefusalEvent, UNREAD_HOST } from '../events/event.ts';
import { hostText } from '../names/host.ts';
import { ruleText } from '../policy/decide.ts';
import type { Decision, Target } from '../policy/decision.ts';
import type { Reason } from '../policy/reason.ts';
import type { Problem } from './gates.ts';
import type { Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';

type Outcome = 'done' | 'failed' | 'refused' | 'reset';

/** A row that was let through and is not closed yet. */
interface OpenRow {
  id: number;
  target: Target;
  openedAt: number;
  /** What the far socket had counted when the row began. */
  up: number;
  down: number;
  /** Whether its decision is in the store; null until that is known. */
  recorded: boolean | null;
  /** A refusal that waits until it is known. */
  refusal: RefusalEvent | null;
  /** When something of it was recorded last, and how many octets had passed by then. */
  toldAt: number;
  told: number;
}

/** Octets of payload so far. A socket counts them, as seen from us. */
export interface Counted {
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What passes on a connection that goes on is recorded after so many octets, and so many milliseconds. */
const WORTH_TELLING = 10_000_000;
const PAUSE = 5_000;

/** For the record only: names sent by a peer may be long. */
const DETAIL_MAX = 300;

export class Rows {
  /** The origin, whose counts are the payload's. */
  far: Counted | null = null;
  #open: OpenRow | null = null;

  constructor(
    private readonly session: Session,
    private readonly around: Surroundings,
    private acceptedAt: number,
  ) {}

  /** Octets that came from the origin. */
  get down(): number {
    return this.far?.bytesIn ?? 0;
  }

  /** Resolves true once the decision is written down; false if it cannot be. */
  async open(protocol: 'tcp' | 'http', target: Target, decision: Decision): Promise<boolean> {
    const { far } = this;
    const id = this.session.nextConnection();
    const up = far?.bytesOut ?? 0;
    const down = far?.bytesIn ?? 0;
    const openedAt = this.acceptedAt;
    const toldAt = this.around.clock.monotonic();
    const row: OpenRow = { id, target, openedAt, up, down, recorded: null, refusal: null, toldAt, told: 0 };
    this.#open = row;
    this.acceptedAt = toldAt;
    try {
      const event = this.#decision(id, protocol, target, decision, decision.reason);
      row.recorded = await this.around.recorder.decide(event);
    } catch (bug) {
      this.around.onBug(bug);
      row.recorded = false;
    }
    if (row.recorded && row.refusal !== null) this.around.recorder.note(row.refusal);
    return row.recorded;
  }

  /** A refusal at hop 3 is one row, and need not be waited for. */
  deny(protocol: 'tcp' | 'http', target: Target | null, decision: Decision | null, reason: Reason): void {
    const event = this.#decision(this.session.nextConnection(), protocol, target, decision, reason);
    this.around.recorder.decide(event).catch(this.around.onBug);
  }

  /**
   * What had been let through is refused after all. Where its decision could not be recorded there is nothing to
   * take back: the recorder has counted it as refused.
   */
  refuse({ reason, detail }: Problem): void {
    const row = this.#open;
    if (row === null || row.recorded === false) return;
    const event: RefusalEvent = {
      kind: 'refusal',
      time: this.around.clock.now(),
      agent: this.session.agent,
      session: this.session.id,
      connection: row.id,
      host: hostText(row.target.host),
      port: row.target.port,
      reason,
      detail: detail?.slice(0, DETAIL_MAX) ?? null,
    };
    if (row.recorded) this.around.recorder.note(event);
    else row.refusal = event;
  }

  /** To be called now and then. */
  progress(monotonic: number): void {
    const row = this.#open;
    if (row?.recorded !== true || monotonic - row.toldAt < PAUSE) return;
    const octets = (this.far?.bytesOut ?? 0) - row.up + this.down - row.down;
    if (octets - row.told < WORTH_TELLING) return;
    row.toldAt = monotonic;
    row.told = octets;
    this.around.recorder.note({ kind: 'progress', ...this.#passed(row) });
  }

  close(outcome: Outcome, reason: Reason | null): void {
    const row = this.#open;
    if (row === null) return;
    this.#open = null;
    this.around.recorder.note({ kind: 'close', outcome, reason, ...this.#passed(row) });
  }

  #passed(row: OpenRow): Omit<CloseEvent, 'kind' | 'outcome' | 'reason'> {
    const { far, around, session } = this;
    return {
      time: around.clock.now(),
      agent: session.agent,
      session: session.id,
      connection: row.id,
      host: hostText(row.target.host),
      port: row.target.port,
      bytesUp: (far?.bytesOut ?? 0) - row.up,
      bytesDown: (far?.bytesIn ?? 0) - row.down,
      duration: Math.round(around.clock.monotonic() - row.openedAt),
    };
  }

  #decision(
    connection: number,
    protocol: DecisionEvent['protocol'],
    target: Target | null,
    decision: Decision | null,
    reason: Reason,
  ): DecisionEvent {
    return {
      kind: 'decision',
      time: this.around.clock.now(),
      agent: this.session.agent,
      session: this.session.id,
      connection,
      protocol,
      host: target === null ? UNREAD_HOST : hostText(target.host),
      port: target?.port ?? 0,
      verdict: reason === decision?.reason ? decision.verdict : 'deny',
      reason,
      rule: decision === null || decision.rule === null ? null : ruleText(decision.rule),
      wouldDeny: decision?.wouldDeny ?? false,
    };
  }
}
