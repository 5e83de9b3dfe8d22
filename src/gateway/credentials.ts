/** Proxy credentials as HTTP carries them (RFC 9110 section 11.7.2, RFC 7617). */

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i;

/**
 * The user and the password of a Proxy-Authorization value. Whatever cannot be read as such is credentials all the
 * same, and wrong ones: they are never the name of an agent.
 */
export function credentialsIn(authorization: string): { user: string; password: string } {
  const coded = BASIC.exec(authorization)?.[1] ?? '';
  const text = Buffer.from(coded, 'base64').toString('latin1');
  const colon = text.indexOf(':');
  return colon === -1
    ? { user: '', password: '' }
    : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
