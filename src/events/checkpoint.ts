/**
 * Signed statements about the store, renewed in every transaction: where each chain begins and ends, and one
 * seal over how many rows and chains there are. A cut tail, a dropped chain or an eviction that was not ours
 * contradicts them. The key lives beside the store and is the only thing a verifier trusts.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
  verify,
} from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ChainState } from './chain.ts';

export interface Seal {
  /** The last sequence number given; sequence numbers have no gaps, so also how many rows there ever were. */
  sequence: number;
  chains: number;
}

export function keyFileOf(store: string): string {
  return join(dirname(store), 'egress.key');
}

/** The signing key (Ed25519, PKCS #8 PEM, mode 0600), made on first use. Whoever links it first wins. */
export function signingKey(store: string): KeyObject {
  const file = keyFileOf(store);
  try {
    return createPrivateKey(readFileSync(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const draft = `${file}.${randomUUID()}`;
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  try {
    writeFileSync(draft, pem, { mode: 0o600, flag: 'wx' });
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return createPrivateKey(readFileSync(file));
}

/** The key that statements are checked with, or null where there is no key file. Throws if it is not a key. */
export function verifyingKey(store: string): KeyObject | null {
  try {
    return createPublicKey(readFileSync(keyFileOf(store)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

export function signChain(key: KeyObject, chain: ChainState): Uint8Array {
  return sign(null, chainStatement(chain), key);
}

export function signSeal(key: KeyObject, seal: Seal): Uint8Array {
  return sign(null, sealStatement(seal), key);
}

export function isChainSigned(key: KeyObject, chain: ChainState, signature: Uint8Array): boolean {
  return verify(null, chainStatement(chain), key, signature);
}

export function isSealSigned(key: KeyObject, seal: Seal, signature: Uint8Array): boolean {
  return verify(null, sealStatement(seal), key, signature);
}

function chainStatement(chain: ChainState): Buffer {
  const { agent, lane, base, length } = chain;
  const hashes = [Buffer.from(chain.baseHash).toString('hex'), Buffer.from(chain.head).toString('hex')];
  return Buffer.from(JSON.stringify(['clawctl.egress.chain/v1', agent, lane, base, length, ...hashes]));
}

function sealStatement(seal: Seal): Buffer {
  return Buffer.from(JSON.stringify(['clawctl.egress.seal/v1', seal.sequence, seal.chains]));
}
