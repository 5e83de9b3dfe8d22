/**
 * The rows of one agent's lane form a chain: each row's hash covers its own text and the hash of the row
 * before it. So a changed, missing, added or moved row breaks the chain at a place that can be named.
 */
import { type Cells, type Lane, valuesOf } from './row.ts';

/** What the first row of a chain follows. */
export const START: Uint8Array = new Uint8Array(32);

/** Where a chain begins and ends. Rows before `base` were evicted by age or size; `head` is the last row's hash. */
export interface ChainState {
  agent: string;
  lane: Lane;
  /** How many rows were evicted from its beginning, and the hash of the last of them. */
  base: number;
  baseHash: Uint8Array;
  /** How many rows it ever had, evicted ones included. */
  length: number;
  head: Uint8Array;
}

/** SHA-256 over the previous hash and the row's cells as JSON, in column order. */
export function hashRow(previous: Uint8Array, chain: ChainState, sequence: number, cells: Cells): Uint8Array {
  const text = JSON.stringify([chain.agent, chain.lane, sequence, ...valuesOf(cells)]);
  return HASHER.update(previous).update(text).digest();
}

/** Empty again after each digest. */
const HASHER = new Bun.CryptoHasher('sha256');
