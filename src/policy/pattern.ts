/**
 * The host of a rule as a person writes it: a name, `*.name`, `*`, an address or a range. Whatever else people
 * try (URLs, ports, Unicode, wildcards in other places) is refused with the spelling that would work, never
 * repaired: a rule that means something else than its author thinks is worse than an error.
 */
import { addressOf, parseAddress } from '../names/address.ts';
import { hostText, parseHost } from '../names/host.ts';
import { mappedRange, parseRange, type Range, rangeText } from '../names/range.ts';

export type Pattern =
  /** `*`: every name except the special ones; never an address. As a denial: everything. */
  | { kind: 'any'; text: '*' }
  /** `*.name`: one or more labels below `name`, never `name` itself. */
  | { kind: 'below'; text: string; name: string }
  | { kind: 'name'; text: string; name: string }
  /** An address is a range of one. */
  | { kind: 'range'; text: string; range: Range };

/** `message` continues a sentence about the text; `fix` says what to write instead. */
export type PatternResult =
  | { ok: true; pattern: Pattern }
  | { ok: false; message: string; fix: string | null };

const refuse = (message: string, fix: string | null = null): PatternResult => ({ ok: false, message, fix });

/** What `::ffff:203.0.113.7` is said to be. Clients and origins are known by the IPv4 address, so no rule would hold. */
export const MAPPED_ADDRESS = 'an IPv4 address mapped into IPv6, by which nothing is known';

export function readPattern(text: string): PatternResult {
  if (text === '') return refuse('the host is empty');
  if (text.length > 1_000) return refuse('the host is far too long', 'A name has at most 253 characters.');
  if (text.includes('*')) return readWildcard(text);
  const host = parseHost(text);
  if (host !== null) {
    const port = portAfterAddress(text);
    if (port !== null) return ambiguous(text, port);
    return host.kind === 'name'
      ? { ok: true, pattern: { kind: 'name', text: host.name, name: host.name } }
      : patternOfRange(parseRange(host.address.text)!);
  }
  const range = parseRange(text);
  return range === null ? explainBadHost(text) : patternOfRange(range);
}

/** The host of a rule that is known to be well formed, such as one of a policy that has been read. */
export function patternOf(text: string): Pattern {
  const result = readPattern(bracketed(text));
  return result.ok ? result.pattern : { kind: 'name', text, name: text };
}

/** Brackets around an IPv6 address, whose last group could be taken for a port otherwise. */
export function bracketed(text: string): string {
  return parseAddress(text)?.family === 6 ? `[${text}]` : text;
}

function patternOfRange(range: Range): PatternResult {
  const meant = mappedRange(range);
  if (meant === null) return { ok: true, pattern: { kind: 'range', text: rangeText(range), range } };
  return refuse(`this is ${MAPPED_ADDRESS}`, `Write ${rangeText(meant)}.`);
}

function readWildcard(text: string): PatternResult {
  if (text === '*') return { ok: true, pattern: { kind: 'any', text } };
  if (/^\*[*.]*$/.test(text)) return refuse(`'${text}' is not a pattern`, "Any host at all is written '*'.");
  const rest = text.slice(2);
  if (!text.startsWith('*.')) {
    const name = text.slice(text.lastIndexOf('*') + 1).replace(/^\./, '');
    const fix =
      parseHost(name)?.kind === 'name' && name.includes('.')
        ? `Write '*.${name}' for every name below ${name}, or name each host.`
        : 'Name each host, or write a leading *. such as *.example.com.';
    return refuse('a wildcard is only a leading *.', fix);
  }
  if (rest.includes('*')) {
    const name = rest.replaceAll('*.', '');
    const fix = parseHost(name)?.kind === 'name' ? `*.${name} covers any number of labels.` : null;
    return refuse('only one leading *. is possible', fix);
  }
  const host = parseHost(rest);
  if (host?.kind === 'name')
    return { ok: true, pattern: { kind: 'below', text: `*.${host.name}`, name: host.name } };
  if (host?.kind === 'address' || /(^|\.)[0-9.]+$/.test(rest))
    return refuse('addresses have no wildcards', 'Write a range such as 10.0.0.0/8.');
  const inner = explainBadHost(rest);
  return inner.ok ? inner : refuse(inner.message, inner.fix);
}

/** A number after the last colon of a bare IPv6 address that could be meant as a port. */
function portAfterAddress(text: string): string | null {
  const match = /^([^[\]]*:[^[\]]*):(\d{1,5})$/.exec(text);
  return match !== null && parseAddress(match[1]!) !== null ? match[2]! : null;
}

function ambiguous(text: string, port: string): PatternResult {
  const address = text.slice(0, -port.length - 1);
  return refuse(
    `'${text}' could be one address or an address and a port`,
    `Write "[${text}]" for the address, or "[${address}]" with port ${port} of its own (ports: [${port}], --port ${port}).`,
  );
}

function explainBadHost(text: string): PatternResult {
  if (/[\0-\x20\x7f-\xa0]/.test(text))
    return refuse('a host has no spaces or control characters', suggestion(text.trim()));
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return explainUrl(text);
  if (/^[a-z]+:$/i.test(text)) return refuse('this is the beginning of a URL', 'Write only the host.');
  if (text.startsWith('@'))
    return refuse('there are no groups', 'Name each host, or use a preset under presets:.');
  if (text.includes('@'))
    return refuse('a host has no user name or password', suggestion(text.slice(text.lastIndexOf('@') + 1)));
  const slash = text.indexOf('/');
  if (slash >= 0) return explainSlash(text, slash);
  if (/[?#\\]/.test(text))
    return refuse('a host has no path, query or fragment', suggestion(text.split(/[?#\\]/)[0]!));
  if (text.includes('%'))
    return refuse('nothing is decoded in a host', 'Write it without % escapes and without a zone.');
  if (/[^\x20-\x7e]/.test(text)) return explainUnicode(text);
  const port = /^(.+):(\d*)$/.exec(text);
  if (port !== null && parseHost(port[1]!) !== null) return explainPort(port[1]!, port[2]!);
  if (text.startsWith('['))
    return refuse('only an IPv6 address stands in brackets', suggestion(text.slice(1, -1)));
  if (text.startsWith('.'))
    return refuse('a name does not begin with a dot', suggestion(text.slice(1), '*.'));
  return explainLabels(text);
}

/** Says how to write `text`, if that alone would do. */
function suggestion(text: string, prefix = ''): string | null {
  const host = parseHost(text);
  return host === null ? null : `Write ${prefix}${hostText(host)}`;
}

function explainUrl(text: string): PatternResult {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return refuse('this is a URL; a rule names a host', 'Write only the host, such as example.com.');
  }
  const host = parseHost(url.hostname);
  if (host === null) return refuse('this is a URL; a rule names a host', null);
  // A path cannot be a rule: where TLS is not opened nobody sees it.
  const port =
    url.port === '' ? '' : ` with port ${url.port} of its own (ports: [${url.port}], --port ${url.port})`;
  return refuse('this is a URL; a rule names a host, whatever the path', `Write ${hostText(host)}${port}`);
}

function explainSlash(text: string, slash: number): PatternResult {
  const before = text.slice(0, slash);
  const bits = text.slice(slash + 1);
  const address = parseAddress(before);
  if (address === null || !/^\d+$/.test(bits))
    return refuse('a host has no path; a rule holds for all of a host', suggestion(before));
  const whole = address.bytes.length * 8;
  if (Number(bits) > whole || String(Number(bits)) !== bits)
    return refuse(`the prefix length is a number from 0 to ${whole}`);
  const masked = address.bytes.map(
    (octet, i) => octet & (0xff00 >> Math.min(8, Math.max(0, Number(bits) - 8 * i))),
  );
  return refuse(
    `${before} has bits set beyond /${bits}`,
    `Write ${addressOf(masked).text}/${bits} for the range, or ${before} for the address.`,
  );
}

function explainUnicode(text: string): PatternResult {
  let ascii = '';
  try {
    ascii = new URL(`http://${text}`).hostname;
  } catch {}
  const fix = suggestion(ascii);
  return refuse('a rule is written in ASCII', fix === null ? null : `${fix} if that is the name you mean.`);
}

function explainPort(host: string, port: string): PatternResult {
  if (port === '' || Number(port) < 1 || Number(port) > 65_535)
    return refuse('a port is a number from 1 to 65535, and not part of the host', suggestion(host));
  return refuse(
    'the port is not part of the host',
    `Write ${host} with port ${port} of its own (ports: [${port}], --port ${port}).`,
  );
}

function explainLabels(text: string): PatternResult {
  const labels = text.replace(/\.$/, '').split('.');
  const last = labels.at(-1)!;
  if (text.length > 254) return refuse('a name has at most 253 characters');
  if (labels.includes('')) {
    const joined = labels.filter((label) => label !== '').join('.');
    return refuse('a label between two dots is empty', suggestion(joined));
  }
  if (/^(0x[0-9a-f]*|[0-9]+)$/i.test(last))
    return refuse(
      'this is neither a name nor a canonical address',
      'An IPv4 address is four decimal numbers without leading zeros, such as 203.0.113.7.',
    );
  const long = labels.find((label) => label.length > 63);
  if (long !== undefined) return refuse(`a label has at most 63 characters, this one has ${long.length}`);
  const encoded = labels.find((label) => /^xn--/i.test(label));
  if (encoded !== undefined) return refuse(`'${encoded}' is not the ASCII form of any label`);
  if (labels.some((label) => label.startsWith('-') || label.endsWith('-')))
    return refuse('a label neither begins nor ends with a hyphen');
  const bad = /[^a-z0-9._-]/i.exec(text);
  return refuse(bad === null ? 'this is not a host name' : `a host has no '${bad[0]}'`);
}
