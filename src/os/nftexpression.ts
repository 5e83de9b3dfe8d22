/**
 * The small steps that a netfilter rule is made of: load something into a register, compare, act. Names and
 * numbers are those of linux/netfilter/nf_tables.h; `nft --debug=netlink` shows the same steps for a rule in
 * nft's own language. All our rules work in register 1; register 0 is the verdict.
 */
import { attribute, nested, number16, number32, type Octets, octets, text } from './netlinkmessage.ts';

export type Expression = Octets;

const VERDICT = 0;
const REGISTER = 1;
const NF_ACCEPT = 1;

/** Packed for a rule's list: each is an element with a name and data. */
function expression(name: string, ...data: Octets[]): Expression {
  return nested(1, text(1, name), ...(data.length === 0 ? [] : [nested(2, ...data)]));
}

const value = (type: number, bytes: readonly number[]) => nested(type, attribute(1, octets(...bytes)));
const port = (number: number) => [number >> 8, number & 0xff];

function equals(...bytes: number[]): Expression {
  return expression('cmp', number32(1, REGISTER), number32(2, 0), value(3, bytes));
}

const maskedBy = (...mask: number[]): Expression =>
  expression(
    'bitwise',
    number32(1, REGISTER),
    number32(2, REGISTER),
    number32(3, mask.length),
    value(4, mask),
    value(
      5,
      mask.map(() => 0),
    ),
  );

function payload(base: 'network' | 'transport', offset: number, length: number): Expression {
  return expression(
    'payload',
    number32(1, REGISTER),
    number32(2, base === 'network' ? 1 : 2),
    number32(3, offset),
    number32(4, length),
  );
}

/** The transport protocol is this one (6 TCP, 17 UDP). */
export function protocolIs(protocol: number): Expression[] {
  return [expression('meta', number32(1, REGISTER), number32(2, 16)), equals(protocol)];
}

/** The destination port of TCP or UDP (it has the same place in both). */
export function destinationPortIs(number: number): Expression[] {
  return [payload('transport', 2, 2), equals(...port(number))];
}

/** The destination is 127.0.0.0/8, or ::1. */
export function destinationIsLoopback(family: 4 | 6): Expression[] {
  if (family === 4) return [payload('network', 16, 1), equals(127)];
  return [payload('network', 24, 16), equals(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)];
}

/** Bits of connection tracking's state, as one packet sees it. */
export const STATE = { invalid: 1, established: 2, related: 4 } as const;

/** The connection is in one of these states. */
export function stateIs(bits: number): Expression[] {
  return [
    expression('ct', number32(1, REGISTER), number32(2, 0)),
    maskedBy(bits, 0, 0, 0), // the register holds it in the machine's order
    expression('cmp', number32(1, REGISTER), number32(2, 1), value(3, [0, 0, 0, 0])), // not equal to none
  ];
}

function verdict(code: number): Expression {
  return expression('immediate', number32(1, VERDICT), nested(2, nested(2, number32(1, code))));
}

export const accept = (): Expression[] => [verdict(NF_ACCEPT)];

/** To this port of this host, whatever the destination was. Ends the rule. */
export function redirectTo(number: number): Expression[] {
  const load = expression('immediate', number32(1, REGISTER), value(2, port(number)));
  const PORT_GIVEN = 2;
  return [load, expression('redir', number32(1, REGISTER), number32(3, PORT_GIVEN))];
}

/** Copies the packet's first bytes to whoever listens on the group, and goes on with the next rule. */
export function logTo(group: number, bytes: number): Expression[] {
  return [expression('log', number16(1, group), number32(3, bytes))];
}

export function rejectWithReset(): Expression[] {
  return [expression('reject', number32(1, 1), attribute(2, octets(0)))];
}

/** ICMP or ICMPv6 destination unreachable, administratively prohibited. */
export function rejectAsProhibited(family: 4 | 6): Expression[] {
  return [expression('reject', number32(1, 0), attribute(2, octets(family === 4 ? 13 : 1)))];
}
