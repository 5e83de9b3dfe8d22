/** How much the store keeps. Apart from what keeps it so, which a gateway's own thread need not load. */
export interface Limits {
  /** Milliseconds that rows, hour totals and the memory of hosts are kept. */
  age: number;
  /** Octets that the database may use. */
  bytes: number;
}

export const DEFAULT_LIMITS: Limits = { age: 30 * 86_400_000, bytes: 2 ** 30 };
