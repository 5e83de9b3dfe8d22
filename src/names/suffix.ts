/** Where names are given out to anybody: the Public Suffix List with its private section (`github.io`). */
import { getDomain, getPublicSuffix, parse } from 'tldts';
import { PRIVATE_SUFFIXES } from './specialnames.ts';

const OPTIONS = {
  allowPrivateDomains: true,
  extractHostname: false,
  validateHostname: false,
  detectIp: false,
};

/**
 * Whether anybody can have a name below this one: `com`, `co.uk`, `github.io`, and `compute.amazonaws.com`, where the
 * list has only `*.compute.amazonaws.com`. Unlisted top-level names count, those of private networks (`internal`,
 * `lan`) do not. `name` is canonical.
 */
export function isPublicSuffix(name: string): boolean {
  return !PRIVATE_SUFFIXES.has(name) && getPublicSuffix(name, OPTIONS) === name;
}

/** The part of the name that somebody registered: `example.co.uk`, `alice.github.io`; null for a suffix itself. */
export function registrableDomain(name: string): string | null {
  return getDomain(name, OPTIONS);
}

/**
 * A name around its registrable domain: `{ before: 'api', label: 'example', suffix: 'co.uk' }`. A name that is itself a
 * suffix of the private section (`github.io`) is taken as the registered domain that it also is. Null: a bare suffix.
 */
export function splitName(name: string): SplitName | null {
  return split(name, true) ?? split(name, false);
}

export interface SplitName {
  before: string;
  label: string;
  suffix: string;
}

/** The name around the domain of whoever gives names out to anybody: `alice.github.io` around `github.io`; null for other names. */
export function splitPlatform(name: string): SplitName | null {
  const platform = split(name, false);
  const own = split(name, true);
  return platform?.suffix === own?.suffix ? null : platform;
}

function split(name: string, allowPrivateDomains: boolean): SplitName | null {
  const parts = parse(name, { ...OPTIONS, allowPrivateDomains });
  const { subdomain, domainWithoutSuffix, publicSuffix } = parts;
  if (!domainWithoutSuffix || !publicSuffix) return null;
  return { before: subdomain ?? '', label: domainWithoutSuffix, suffix: publicSuffix };
}
