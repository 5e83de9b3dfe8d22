/**
 * Classic BPF as seccomp runs it (linux/filter.h, seccomp(2)): a program reads one 32-bit word at a time of
 * `struct seccomp_data` and ends with an action.
 */

/** One instruction: operation, how many to skip if true and if false, and its operand. */
export type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, operand: number];

const LOAD = 0x20;
const JUMP_IF_EQUAL = 0x15;
export const JUMP_IF_AT_LEAST = 0x35;
const JUMP_IF_ANY_BIT = 0x45;
export const AND = 0x54;
const RETURN = 0x06;

/** Offsets in `struct seccomp_data`. Arguments are 64 bits wide, their low half first. */
export const NUMBER = 0;
export const ARCHITECTURE = 4;
export const lowHalfOf = (argument: number) => 16 + 8 * argument;

export const ALLOW = 0x7fff0000;
export const KILL_PROCESS = 0x80000000;
export const failWith = (errno: number) => 0x00050000 | errno;

export function load(offset: number): Instruction {
  return [LOAD, 0, 0, offset];
}

export function end(action: number): Instruction {
  return [RETURN, 0, 0, action];
}

/** Runs the block only if what was loaded is this value; otherwise goes on behind it. */
export function whenEqual(value: number, block: readonly Instruction[]): Instruction[] {
  return [[JUMP_IF_EQUAL, 0, block.length, value], ...block];
}

/** Runs the block only if any of these bits is set in what was loaded. */
export function whenAnyBit(bits: number, block: readonly Instruction[]): Instruction[] {
  return [[JUMP_IF_ANY_BIT, 0, block.length, bits], ...block];
}

/** Runs the block only if what was loaded is none of these values. */
export function whenNoneOf(values: readonly number[], block: readonly Instruction[]): Instruction[] {
  const jumps = values.map(
    (value, index): Instruction => [JUMP_IF_EQUAL, values.length - 1 - index + block.length, 0, value],
  );
  return [...jumps, ...block];
}

/** `struct sock_filter`s. Throws where a jump does not fit its byte: the table has grown too long. */
export function assemble(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(8 * program.length);
  for (const [index, [code, whenTrue, whenFalse, operand]] of program.entries()) {
    if (whenTrue > 255 || whenFalse > 255) throw new Error('a jump of more than 255 instructions');
    bytes.writeUInt16LE(code, 8 * index);
    bytes[8 * index + 2] = whenTrue;
    bytes[8 * index + 3] = whenFalse;
    bytes.writeUInt32LE(operand >>> 0, 8 * index + 4);
  }
  return bytes;
}
