/**
 * The seal: one signed statement, renewed in every transaction, of how many rows there ever were and where each
 * chain begins and ends. A cut tail, a dropped chain or an eviction that was not ours contradicts it. The key lives
 * beside the store and is the only thing a verifier trusts.
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

/** `sequence`: the last sequence number given; `lines`: of every chain, in the order of their numbers. */
export function signSeal(key: KeyObject, sequence: number, lines: Iterable<string>): Uint8Array {
  return sign(null, statementOf(sequence, lines), key);
}

export function isSealed(
  key: KeyObject,
  sequence: number,
  lines: Iterable<string>,
  signature: Uint8Array,
): boolean {
  return verify(null, statementOf(sequence, lines), key, signature);
}

/** What the seal says of one chain. */
export function lineOf({ agent, lane, base, baseHash, length, head }: ChainState): string {
  const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex');
  return `${JSON.stringify([agent, lane, base, hex(baseHash), length, hex(head)])}\n`;
}

/** A digest, because a store of many agents has thousands of lines. */
function statementOf(sequence: number, lines: Iterable<string>): Uint8Array {
  const hash = new Bun.CryptoHasher('sha256').update(`clawctl.egress.seal/v1 ${sequence}\n`);
  for (const line of lines) hash.update(line);
  return hash.digest();
}
