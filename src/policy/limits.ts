/**
 * What agents may use up. A limit is for everything together unless its name says `PerAgent`; the section of an agent
 * gives the agent its own. Every limit is such that smaller is stricter, so where several files say one, the
 * smallest holds: no file can widen what another has narrowed.
 */

export interface Limits {
  /** Connections open at once, of all agents together. */
  connections: number;
  /** The same of one agent, unless its section says otherwise. */
  connectionsPerAgent: number;
  /** New connections within one second, of all agents together. */
  connectionsPerSecond: number;
  connectionsPerSecondPerAgent: number;
  /** Octets of the head of one HTTP request, and of one response. */
  headerBytes: number;
  /** Field lines of one head. */
  headerCount: number;
  /** Milliseconds that a client of a proxy may take for one request head, or for its part of SOCKS5. */
  headTimeout: number;
  /** Milliseconds that a TLS handshake with a listener may take, and connecting to an origin. */
  handshakeTimeout: number;
  /** Milliseconds until a client has sent its ClientHello or request head through what was opened for it. */
  firstByteTimeout: number;
  /** Milliseconds until an origin has begun to answer a request that was sent on to it; models take minutes. */
  responseTimeout: number;
  /** Milliseconds without an octet either way after which a connection is closed. */
  idle: number;
  /** Milliseconds that a connection may live; Infinity: as long as it likes. */
  lifetime: number;
  /** Octets of payload that may go to origins in one day (UTC), from all agents together; Infinity: any number. */
  bytesUpPerDay: number;
  bytesUpPerDayPerAgent: number;
}

/** What one agent may use up. */
export interface AgentLimits {
  connections: number;
  connectionsPerSecond: number;
  /** Infinity: any number. */
  bytesUpPerDay: number;
}

export const DEFAULT_LIMITS: Limits = Object.freeze({
  connections: 20_000,
  connectionsPerAgent: 1_024,
  connectionsPerSecond: 10_000,
  connectionsPerSecondPerAgent: 1_000,
  headerBytes: 32_768,
  headerCount: 128,
  headTimeout: 10_000,
  handshakeTimeout: 10_000,
  firstByteTimeout: 10_000,
  responseTimeout: 10 * 60_000,
  idle: 15 * 60_000,
  lifetime: Number.POSITIVE_INFINITY,
  bytesUpPerDay: Number.POSITIVE_INFINITY,
  bytesUpPerDayPerAgent: Number.POSITIVE_INFINITY,
});
