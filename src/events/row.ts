/**
 * An event as a row: the columns in order, cleaned so that what is read back is what was hashed. One layout
 * serves every kind; what a kind does not have is null.
 */
import type { CloseEvent, DecisionEvent, Event, NoticeEvent, QuestionEvent, RefusalEvent } from './event.ts';

/**
 * Rows of one agent are kept in lanes, each with its own chain and its own share of the disk, so that a
 * flood in one lane can push nothing out of another.
 */
export const LANES = ['through', 'refused', 'question', 'notice'] as const;
export type Lane = (typeof LANES)[number];

export const COLUMNS = [
  'time',
  'kind',
  'session',
  'connection',
  'protocol',
  'host',
  'port',
  'outcome',
  'reason',
  'rule',
  'would_deny',
  'detail',
  'count',
  'bytes_up',
  'bytes_down',
  'duration',
] as const;

export type Column = (typeof COLUMNS)[number];
type Cell = string | number | null;
export type Cells = { [column in Column]: Cell };

export interface Row {
  agent: string;
  lane: Lane;
  cells: Cells;
  /** The host that totals count it under, where that is not the row's own (see distinct.ts). */
  countedAs: string | null;
}

type CellsOf<Names extends readonly Column[]> = { -readonly [index in keyof Names]: Cell };
/** Cells in the order of COLUMNS. */
export type Values = CellsOf<typeof COLUMNS>;

/** Written out, like the way back: it is done for every row, and a loop over the columns takes ten times as long. */
export function valuesOf(cells: Cells): Values {
  return [
    cells.time,
    cells.kind,
    cells.session,
    cells.connection,
    cells.protocol,
    cells.host,
    cells.port,
    cells.outcome,
    cells.reason,
    cells.rule,
    cells.would_deny,
    cells.detail,
    cells.count,
    cells.bytes_up,
    cells.bytes_down,
    cells.duration,
  ];
}

/** The way back. */
export function cellsIn(values: Values): Cells {
  return {
    time: values[0],
    kind: values[1],
    session: values[2],
    connection: values[3],
    protocol: values[4],
    host: values[5],
    port: values[6],
    outcome: values[7],
    reason: values[8],
    rule: values[9],
    would_deny: values[10],
    detail: values[11],
    count: values[12],
    bytes_up: values[13],
    bytes_down: values[14],
    duration: values[15],
  };
}

const LONGEST = { name: 64, host: 270, detail: 300, text: 1_000 };

export function rowOf(event: Event): Row {
  return {
    agent: text(event.agent, LONGEST.name),
    lane: laneOf(event),
    cells: cellsOf(event),
    countedAs: null,
  };
}

function laneOf(event: Event): Lane {
  if (event.kind === 'question' || event.kind === 'notice') return event.kind;
  if (event.kind === 'decision') return event.verdict === 'allow' ? 'through' : 'refused';
  if (event.kind === 'progress') return 'through';
  return event.kind === 'refusal' || event.outcome === 'refused' ? 'refused' : 'through';
}

function cellsOf(event: Event): Cells {
  const cells: Cells = {
    time: whole(event.time),
    kind: event.kind,
    session: text(event.session, LONGEST.name),
    connection: null,
    protocol: null,
    host: null,
    port: null,
    outcome: null,
    reason: null,
    rule: null,
    would_deny: null,
    detail: null,
    count: 1,
    bytes_up: null,
    bytes_down: null,
    duration: null,
  };
  if (event.kind === 'notice') {
    cells.outcome = event.topic;
    cells.detail = text(event.text, LONGEST.text);
    return cells;
  }
  cells.host = text(event.host, LONGEST.host);
  if (event.kind === 'question') {
    cells.detail = text(event.type, LONGEST.name);
    cells.count = Math.max(1, whole(event.count));
    return cells;
  }
  cells.connection = whole(event.connection);
  cells.port = whole(event.port);
  if (event.kind === 'close' || event.kind === 'progress') {
    cells.bytes_up = Math.max(0, whole(event.bytesUp));
    cells.bytes_down = Math.max(0, whole(event.bytesDown));
    cells.duration = Math.max(0, whole(event.duration));
  }
  if (event.kind === 'progress') return cells;
  cells.reason = event.reason;
  if (event.kind === 'decision') {
    cells.protocol = event.protocol;
    cells.outcome = event.verdict;
    cells.rule = event.rule === null ? null : text(event.rule, LONGEST.detail);
    cells.would_deny = event.wouldDeny ? 1 : 0;
    cells.count = Math.max(1, whole(event.count ?? 1));
  } else if (event.kind === 'refusal') {
    cells.detail = event.detail === null ? null : text(event.detail, LONGEST.detail);
  } else {
    cells.outcome = event.outcome;
  }
  return cells;
}

/** An event as it was stored. `count` is how many it stands for: identical refusals share a row. */
export type StoredEvent = Event & { sequence: number; count: number };

export function eventOf(sequence: number, agent: string, cells: Cells): StoredEvent {
  const common = {
    sequence,
    agent,
    time: cells.time as number,
    session: cells.session as string,
    count: cells.count as number,
  };
  const place = {
    connection: cells.connection as number,
    host: cells.host as string,
    port: cells.port as number,
  };
  const passed = {
    bytesUp: cells.bytes_up as number,
    bytesDown: cells.bytes_down as number,
    duration: cells.duration as number,
  };
  switch (cells.kind as Event['kind']) {
    case 'decision':
      return {
        ...common,
        ...place,
        kind: 'decision',
        protocol: cells.protocol as DecisionEvent['protocol'],
        verdict: cells.outcome as DecisionEvent['verdict'],
        reason: cells.reason as DecisionEvent['reason'],
        rule: cells.rule as string | null,
        wouldDeny: cells.would_deny === 1,
      };
    case 'refusal':
      return {
        ...common,
        ...place,
        kind: 'refusal',
        reason: cells.reason as RefusalEvent['reason'],
        detail: cells.detail as string | null,
      };
    case 'close':
      return {
        ...common,
        ...place,
        kind: 'close',
        outcome: cells.outcome as CloseEvent['outcome'],
        reason: cells.reason as CloseEvent['reason'],
        ...passed,
      };
    case 'progress':
      return { ...common, ...place, kind: 'progress', ...passed };
    case 'question':
      return {
        ...common,
        kind: 'question',
        host: cells.host as string,
        type: cells.detail as QuestionEvent['type'],
      };
    case 'notice':
      return {
        ...common,
        kind: 'notice',
        topic: cells.outcome as NoticeEvent['topic'],
        text: cells.detail as string,
      };
  }
}

/** Nearly everything is; looking costs less than cleaning. */
const CLEAN = /^[ -~]*$/;

/** Control characters and lone surrogates would not come back from SQLite as they went in. */
function text(value: string, longest: number): string {
  if (value.length <= longest && CLEAN.test(value)) return value;
  return value
    .slice(0, longest)
    .toWellFormed()
    .replace(/[\u0000-\u001f\u007f]/g, '?');
}

function whole(value: number): number {
  const rounded = Math.round(value);
  return Number.isSafeInteger(rounded) ? rounded : 0;
}
