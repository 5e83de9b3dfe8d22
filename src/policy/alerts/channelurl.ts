/** Where a channel may post: asked when the policy is read, and again of a URL that only a secret holds. */
import { classOf, classPhrase } from '../../names/addressclass.ts';
import { isSpecialName, parseHost } from '../../names/host.ts';
import { parseRange, rangeContains } from '../../names/range.ts';

const LONGEST = 2_000;

/**
 * What is wrong with it, without any part of the URL, which may hold a secret; null if it may be used. `addresses`:
 * ranges of addresses that are not public and that it may lead to.
 */
export function channelUrlProblem(text: string, addresses: readonly string[]): string | null {
  const url = text.length > LONGEST || /[\s\\]/.test(text) ? null : URL.parse(text);
  if (url === null || !/^https?:\/\/[^/]/i.test(text)) return 'it is not an https:// URL';
  if (url.username !== '' || url.password !== '') return 'it holds a user name or password';
  if (url.hash !== '') return 'it has a fragment';
  const host = parseHost(url.hostname);
  if (host === null || url.hostname.endsWith('.')) return 'its host is not a plain name or address';
  if (url.protocol === 'http:' && addresses.length === 0)
    return 'it is not encrypted; http:// is possible only within a network that addresses: names';
  if (host.kind === 'name')
    return isSpecialName(host.name) && addresses.length === 0
      ? 'its host leads to this machine or its network, which only addresses: can admit'
      : null;
  const { address } = host;
  if (classOf(address) === 'public') return null;
  const admitted = addresses.some((range) => rangeContains(parseRange(range)!, address));
  return admitted ? null : `its host is ${classPhrase(classOf(address))}, which only addresses: can admit`;
}
