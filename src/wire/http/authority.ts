/** Host and port as HTTP writes them (RFC 9110 section 7.2): no user, no percent-encoding, no zone, no empty port. */
export interface Authority {
  /** As sent, IPv6 in brackets; not yet judged as a host. */
  name: string;
  /** Null where none was written. */
  port: number | null;
}

const FORM = /^([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::([1-9][0-9]{0,4}))?$/;

export function parseAuthority(text: string): Authority | null {
  const match = FORM.exec(text);
  if (match === null) return null;
  const port = match[2] === undefined ? null : Number(match[2]);
  return port !== null && port > 65_535 ? null : { name: match[1]!, port };
}

/** Whether both name the same host and port, letter case aside, `port` being what an unwritten one means. */
export function sameAuthority(a: Authority, b: Authority, port: number): boolean {
  return a.name.toLowerCase() === b.name.toLowerCase() && (a.port ?? port) === (b.port ?? port);
}
