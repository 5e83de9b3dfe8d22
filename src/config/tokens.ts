/** The file with the digests of the tokens by which agents prove who they are to a shared gateway. */

export interface Token {
  /** SHA-256 of the token's characters, 32 octets: what is stored. */
  digest: Uint8Array;
  /** When it was made, milliseconds since the epoch. */
  created: number;
}

/** By the name of the agent. */
export type Tokens = ReadonlyMap<string, Token>;
