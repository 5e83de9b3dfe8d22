/** E-mail addresses as people have them (RFC 5321 section 4.1.2, the unquoted form): nothing in one can end a header or a command. */
import { parseHost } from '../../names/host.ts';

const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;

export function isMailAddress(text: string): boolean {
  const at = text.lastIndexOf('@');
  const local = text.slice(0, at);
  return at > 0 && local.length <= 64 && LOCAL_PART.test(local) && isDomain(text.slice(at + 1));
}

function isDomain(text: string): boolean {
  return parseHost(text)?.kind === 'name' && !text.endsWith('.');
}
