/** What a client of a proxy is told before its tunnel begins: that it may go on, or why not. */
import type { Reason } from '../policy/reason.ts';
import { httpRefusal, httpRefusalOfUnknown, isFailure, type Refusal } from './refusal.ts';

export interface Door {
  /** The tunnel is open: what follows comes from the origin. */
  readonly welcome: Uint8Array;
  /** The last words. */
  refusal(refusal: Refusal): Uint8Array;
}

const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');

const connectDoor = (json: boolean): Door => ({
  welcome: ESTABLISHED,
  refusal: (refusal) =>
    refusal.host === ''
      ? httpRefusalOfUnknown(refusal.reason, refusal.detail)
      : httpRefusal(refusal, { json, head: false, close: true }),
});

/** HTTP CONNECT (RFC 9110 section 9.3.6); reasons as text, or as JSON for who asks for it. */
export const CONNECT_DOOR = connectDoor(false);
export const CONNECT_DOOR_JSON = connectDoor(true);

/** What is wrong with a CONNECT whose target could be read all the same. */
export const connectDoorSaying = (detail: string): Door => ({
  ...CONNECT_DOOR,
  refusal: ({ reason }) => httpRefusalOfUnknown(reason, detail),
});

/** Replies of RFC 1928 section 6. */
const SUCCEEDED = 0;
const FAILED = 1;
const NOT_ALLOWED = 2;
const HOST_UNREACHABLE = 4;
const CONNECTION_REFUSED = 5;
const COMMAND_NOT_SUPPORTED = 7;
const TYPE_NOT_SUPPORTED = 8;

/** The address that we bound is nobody's business: zeros. */
const reply = (code: number) => Uint8Array.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0);

const WELCOME = reply(SUCCEEDED);

/** SOCKS5 after the request was read. */
export const SOCKS_DOOR: Door = {
  welcome: WELCOME,
  refusal: (refusal) => reply(replyTo(refusal)),
};

/** A request for an address of a type that does not exist. */
export const SOCKS_DOOR_UNKNOWN_TYPE: Door = { welcome: WELCOME, refusal: () => reply(TYPE_NOT_SUPPORTED) };

/** While SOCKS5 still settles how to authenticate, there is no other way of saying no (RFC 1928 section 3). */
export const SOCKS_DOOR_NO_METHOD: Door = { welcome: WELCOME, refusal: () => Uint8Array.of(5, 0xff) };

/** RFC 1929 section 2: anything but zero is no. */
export const SOCKS_DOOR_NO_AGENT: Door = { welcome: WELCOME, refusal: () => Uint8Array.of(1, 1) };

const OWN_FAULT: ReadonlySet<Reason> = new Set([
  'socks-malformed',
  'head-late',
  'malformed-host',
  'malformed-port',
  'audit-unavailable',
  'limit-total',
  'limit-connections',
  'limit-rate',
]);

function replyTo({ reason, detail }: Refusal): number {
  if (reason === 'socks-command') return COMMAND_NOT_SUPPORTED;
  if (isFailure(reason)) return detail === 'ECONNREFUSED' ? CONNECTION_REFUSED : HOST_UNREACHABLE;
  return OWN_FAULT.has(reason) ? FAILED : NOT_ALLOWED;
}
