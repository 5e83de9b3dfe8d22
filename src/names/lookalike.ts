/**
 * Names that imitate an allowed host. The index holds the allowed hosts; what a name may imitate is found by
 * undoing each kind of imitation and looking the result up, so the cost does not grow with the allowlist.
 * It informs people and alerts; no connection is allowed or refused by it.
 */
import { unicodeOf } from './acelabel.ts';
import { skeletonOf } from './skeleton.ts';
import { SLIPS, type Slip, slipBetween, stumpsOf } from './slips.ts';
import { type SplitName, splitName, splitPlatform } from './suffix.ts';

interface Entry {
  /** The allowed host. */
  of: string;
  /** Labels before the registrable domain: `api`, or empty. */
  before: string;
  /** First label of the registrable domain: `github`. */
  label: string;
  /** What follows it: `com`, `co.uk`, `github.io`. */
  suffix: string;
}

export interface LookalikeIndex {
  /** Registrable domains that are allowed, wholly or in part: their owner is trusted. */
  owners: ReadonlyMap<string, Entry[]>;
  /** Whole names as they look, with their dots as hyphens: `github-com`. */
  names: ReadonlyMap<string, Entry[]>;
  labels: ReadonlyMap<string, Entry[]>;
  skeletons: ReadonlyMap<string, Entry[]>;
  /** Without hyphens, and with what stands before the domain: `apigithub`. */
  joined: ReadonlyMap<string, Entry[]>;
  stumps: ReadonlyMap<string, Entry[]>;
  /** The same of whoever gives names out to anybody, where such a name is allowed: `githubusercontent.com`. */
  platforms: Looks & { domains: ReadonlySet<string> };
}

/** What single labels are looked up in. */
type Looks = Pick<LookalikeIndex, 'skeletons' | 'stumps'>;

/** Words that imitators put beside a name. */
const AFFIXES: ReadonlySet<string> = new Set(
  [
    'account accounts admin api apis app apps assets auth backup beta billing cdn chat client cloud',
    'com connect console dashboard data dev developer docs download downloads edge email endpoint',
    'files gateway get help hook hooks id inc internal io key keys login logon mail mirror my net',
    'oauth official online org pay payment payments platform portal prod proxy public registry reset',
    'secure security server service services signin signup site sso staging static status storage',
    'support team test token tokens update updates upload uploads user verify web webhook webhooks',
    'www',
  ].flatMap((line) => line.split(' ')),
);

/** Below this length too many honest names are one letter apart. */
const SHORTEST_LABEL = 4;

/** Labels, or parts of labels between hyphens, of an allowed name within another: more are not compared. */
const MOST_PIECES = 12;

/** `allowed`: host names and `*.` patterns; addresses and `*` are passed over. */
export function lookalikeIndex(allowed: readonly string[]): LookalikeIndex {
  const index = {
    owners: new Map<string, Entry[]>(),
    names: new Map<string, Entry[]>(),
    labels: new Map<string, Entry[]>(),
    skeletons: new Map<string, Entry[]>(),
    joined: new Map<string, Entry[]>(),
    stumps: new Map<string, Entry[]>(),
    platforms: {
      domains: new Set<string>(),
      skeletons: new Map<string, Entry[]>(),
      stumps: new Map<string, Entry[]>(),
    },
  };
  const put = (map: Map<string, Entry[]>, key: string, entry: Entry) => {
    const entries = map.get(key);
    if (entries === undefined) map.set(key, [entry]);
    else entries.push(entry);
  };
  for (const host of allowed) {
    const of = host.startsWith('*.') ? host.slice(2) : host;
    const parts = splitName(of);
    if (parts === null) continue;
    const entry = { of, ...parts };
    const { before, label, suffix } = parts;
    const domain = `${label}.${suffix}`;
    put(index.owners, domain, entry);
    for (const name of new Set([of, domain])) put(index.names, skeletonOf(name.replaceAll('.', '-')), entry);
    put(index.labels, label, entry);
    put(index.skeletons, skeletonOf(label), entry);
    if (label.length < SHORTEST_LABEL) continue;
    for (const key of new Set([label, before + label])) put(index.joined, key.replace(/[.-]/g, ''), entry);
    for (const stump of stumpsOf(label)) put(index.stumps, stump, entry);
  }
  for (const host of allowed) {
    const of = host.replace(/^\*\./, '');
    const parts = splitPlatform(of);
    if (parts === null || index.platforms.domains.has(`${parts.label}.${parts.suffix}`)) continue;
    index.platforms.domains.add(`${parts.label}.${parts.suffix}`);
    if (parts.label.length < SHORTEST_LABEL) continue;
    const entry = { of, ...parts };
    put(index.platforms.skeletons, skeletonOf(parts.label), entry);
    for (const stump of stumpsOf(parts.label)) put(index.platforms.stumps, stump, entry);
  }
  return index;
}

/** `name` is canonical. `of` is the allowed host it imitates, `kind` how, in a word. Null: none that we know. */
export function lookalikeOf(index: LookalikeIndex, name: string): { of: string; kind: string } | null {
  const parts = splitName(name);
  if (parts === null || index.owners.has(`${parts.label}.${parts.suffix}`)) return null;
  const found =
    byLabels(index, name.split('.')) ??
    byUnicode(index, parts) ??
    byDomain(index, parts) ??
    byAffix(index, parts) ??
    bySlip(index, parts) ??
    byPlatform(index, name, parts);
  if (found === null) return null;
  const { label, suffix } = found.entries[0]!;
  const siblings = parts.before === '' ? [] : (index.owners.get(`${label}.${suffix}`) ?? []);
  const closest = [...found.entries, ...siblings].find((entry) => entry.before === parts.before);
  return { of: (closest ?? found.entries[0]!).of, kind: found.kind };
}

interface Match {
  entries: readonly Entry[];
  kind: string;
}

type Parts = Pick<Entry, 'label' | 'suffix'>;

function match(
  entries: readonly Entry[] | undefined,
  kind: string,
  fits: (entry: Entry) => boolean,
): Match | null {
  const fitting = entries?.filter(fits);
  return fitting?.length ? { entries: fitting, kind } : null;
}

const always = () => true;
const sameSuffix = (suffix: string) => (entry: Entry) => entry.suffix === suffix;
/** Too many honest names look like a short one for it to be enough that they do. */
const longOrSameSuffix = (suffix: string) => (entry: Entry) =>
  entry.label.length >= SHORTEST_LABEL || entry.suffix === suffix;

/** `github.com.example.org`, `login-github-com.example.org`, `github.com-login.example`: a whole name within another. */
function byLabels(index: LookalikeIndex, labels: readonly string[]): Match | null {
  const pieces: string[] = [];
  let dotted = 0;
  for (const label of labels.slice(0, -1)) {
    const look = label.startsWith('xn--') ? (unicodeOf(label) ?? label) : label;
    pieces.push(...skeletonOf(look).split('-'));
    dotted++;
  }
  const kind = pieces.length === dotted ? 'subdomain' : 'hyphenated';
  for (let start = 0; start < pieces.length; start++) {
    let joined = pieces[start]!;
    for (let end = start + 1; end < Math.min(pieces.length, start + MOST_PIECES); end++) {
      joined += `-${pieces[end]}`;
      const found = match(index.names.get(joined), kind, always);
      if (found) return found;
    }
  }
  return null;
}

/** `xn--gthub-n2e.com`. */
function byUnicode(index: Looks, { label, suffix }: Parts): Match | null {
  const unicode = label.startsWith('xn--') ? unicodeOf(label) : null;
  if (unicode === null) return null;
  for (const meant of readings(skeletonOf(unicode))) {
    const found = match(index.skeletons.get(meant), 'idn', longOrSameSuffix(suffix));
    if (found) return found;
  }
  return null;
}

/** `github.org`, `git-hub.com`, `apigithub.com`, `g1thub.com`. */
function byDomain(index: LookalikeIndex, { label, suffix }: Parts): Match | null {
  return (
    match(index.labels.get(label), 'tld', (entry) => entry.label.length >= SHORTEST_LABEL) ??
    match(index.joined.get(label.replaceAll('-', '')), 'hyphenated', sameSuffix(suffix)) ??
    match(index.skeletons.get(skeletonOf(label)), 'homoglyph', longOrSameSuffix(suffix))
  );
}

/** `github-login.com`, `securegithub.com`. */
function byAffix(index: LookalikeIndex, { label, suffix }: Parts): Match | null {
  const words = label.split('-').filter((word) => !AFFIXES.has(word) && !/^\d+$/.test(word));
  const found = match(index.labels.get(words.join('-')), 'affix', longOrSameSuffix(suffix));
  if (found) return found;
  for (const affix of AFFIXES) {
    const after = label.startsWith(affix) ? label.slice(affix.length) : '';
    const before = label.endsWith(affix) ? label.slice(0, -affix.length) : '';
    if (after.length < SHORTEST_LABEL && before.length < SHORTEST_LABEL) continue;
    const found = match(index.labels.get(after) ?? index.labels.get(before), 'affix', always);
    if (found) return found;
  }
  return null;
}

/** `gihtub.com`. */
function bySlip(index: Looks, { label, suffix }: Parts): Match | null {
  let likeliest: Slip | null = null;
  let entries: Entry[] = [];
  for (const stump of stumpsOf(label))
    for (const entry of index.stumps.get(stump) ?? []) {
      const slip = entry.suffix === suffix ? slipBetween(entry.label, label) : null;
      if (slip === null || (likeliest !== null && SLIPS.indexOf(slip) > SLIPS.indexOf(likeliest))) continue;
      entries = slip === likeliest ? [...entries, entry] : [entry];
      likeliest = slip;
    }
  return likeliest === null ? null : { entries, kind: likeliest };
}

/** `raw.githubusercontents.com`. A name below the platform itself is somebody else's, but imitates nothing. */
function byPlatform({ platforms }: LookalikeIndex, name: string, own: SplitName): Match | null {
  if (platforms.domains.size === 0) return null;
  const parts = splitPlatform(name) ?? own;
  if (platforms.domains.has(`${parts.label}.${parts.suffix}`)) return null;
  const { label, suffix } = parts;
  const skeleton = platforms.skeletons.get(skeletonOf(label));
  return (
    byUnicode(platforms, parts) ??
    match(skeleton, 'homoglyph', sameSuffix(suffix)) ??
    bySlip(platforms, parts)
  );
}

/** The skeleton itself, and where one character of it looks like no letter, each letter in its place. */
function* readings(skeleton: string): Generator<string> {
  yield skeleton;
  const [unknown, ...more] = Array.from(skeleton).filter((character) => character > '\u007f');
  if (unknown === undefined || more.length > 0) return;
  for (const letter of 'abcdefghjklmnoprstuvwxyz-') yield skeleton.replace(unknown, letter);
}
