/**
 * The chains' ends and the last sequence number as this process last saw them. They are read again only
 * after another process has committed, which SQLite's data_version tells.
 */
import type { Database } from 'bun:sqlite';
import type { KeyObject } from 'node:crypto';
import { type ChainState, START } from './chain.ts';
import { lineOf, signSeal } from './checkpoint.ts';
import type { Lane } from './row.ts';

export interface Chain extends ChainState {
  id: number;
  /** What the last seal says of it. */
  line: string;
}

interface ChainColumns {
  id: number;
  agent: string;
  lane: Lane;
  base: number;
  base_hash: Uint8Array;
  length: number;
  head: Uint8Array;
}

export interface Heads {
  /** Call first in every transaction. */
  refresh(): void;
  /** Call after a transaction that did not commit. */
  forget(): void;
  all(): Chain[];
  /** The agent's chain in this lane, begun if there is none yet. */
  chain(agent: string, lane: Lane): Chain;
  nextSequence(): number;
  /** Writes these chains and signs where all stand. Call last in every transaction. */
  save(changed: Iterable<Chain>): void;
}

/** At most one for a connection: data_version does not tell of the connection's own commits. */
export function createHeads(db: Database, key: KeyObject): Heads {
  const version = db.query('PRAGMA data_version');
  const readChains = db.query('SELECT id, agent, lane, base, base_hash, length, head FROM chain ORDER BY id');
  const readSeal = db.query('SELECT sequence FROM seal');
  const writeChain = db.query(`
    INSERT INTO chain (id, agent, lane, base, base_hash, length, head) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET base = excluded.base, base_hash = excluded.base_hash,
      length = excluded.length, head = excluded.head`);
  const writeSeal = db.query('INSERT OR REPLACE INTO seal (id, sequence, signature) VALUES (1, ?, ?)');

  const chains = new Map<string, Chain>();
  let sequence = 0;
  let seen: number | null = null;
  return {
    refresh() {
      const { data_version: now } = version.get() as { data_version: number };
      if (now === seen) return;
      chains.clear();
      for (const row of readChains.all() as ChainColumns[]) {
        const { base_hash: baseHash, ...rest } = row;
        const chain = { ...rest, baseHash, line: '' };
        chain.line = lineOf(chain);
        chains.set(`${row.lane} ${row.agent}`, chain);
      }
      sequence = (readSeal.get() as { sequence: number } | null)?.sequence ?? 0;
      seen = now;
    },
    forget() {
      seen = null;
    },
    all: () => [...chains.values()],
    chain(agent, lane) {
      let chain = chains.get(`${lane} ${agent}`);
      if (chain === undefined) {
        chain = {
          id: chains.size + 1,
          agent,
          lane,
          base: 0,
          baseHash: START,
          length: 0,
          head: START,
          line: '',
        };
        chains.set(`${lane} ${agent}`, chain);
      }
      return chain;
    },
    nextSequence: () => ++sequence,
    save(changed) {
      for (const chain of changed) {
        const { id, agent, lane, base, baseHash, length, head } = chain;
        writeChain.run(id, agent, lane, base, baseHash, length, head);
        chain.line = lineOf(chain);
      }
      writeSeal.run(sequence, signSeal(key, sequence, linesOf(chains.values())));
    },
  };
}

/** The map keeps chains in the order of their numbers. */
function* linesOf(chains: Iterable<Chain>): Iterable<string> {
  for (const { line } of chains) yield line;
}
