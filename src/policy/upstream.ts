/** Where real names are resolved: `system`, a server's address with an optional port, or a DNS over HTTPS URL. */
import { parseHost } from '../names/host.ts';

/** Whether `text` names a resolver. */
export function isUpstream(text: string): boolean {
  if (text === 'system') return true;
  if (text.startsWith('https://')) return isResolverUrl(text);
  if (parseHost(text)?.kind === 'address') return true;
  const [, address, port] = /^(\d+(?:\.\d+){3}|\[[0-9a-f:.]+\]):(\d{1,5})$/i.exec(text) ?? [];
  return parseHost(address ?? '')?.kind === 'address' && Number(port) >= 1 && Number(port) <= 65_535;
}

function isResolverUrl(text: string): boolean {
  try {
    const url = new URL(text);
    return url.username === '' && url.password === '' && url.hash === '' && parseHost(url.hostname) !== null;
  } catch {
    return false;
  }
}
