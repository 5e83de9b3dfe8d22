/**
 * Names that imitate an allowed host. The index holds the allowed hosts; what a name may imitate is found by
 * undoing each kind of imitation and looking the result up, so the cost does not grow with the allowlist.
 * It informs people and alerts; no connection is allowed or refused by it.
 */
import { unicodeOf } from './acelabel.ts';
import { skeletonOf } from './skeleton.ts';
import { slipsBefore } from './slips.ts';
import { splitName } from './suffix.ts';

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
  owners: ReadonlySet<string>;
  names: ReadonlyMap<string, Entry[]>;
  hyphenated: ReadonlyMap<string, Entry[]>;
  labels: ReadonlyMap<string, Entry[]>;
  skeletons: ReadonlyMap<string, Entry[]>;
  joined: ReadonlyMap<string, Entry[]>;
}

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

/** `allowed`: host names and `*.` patterns; addresses and `*` are passed over. */
export function lookalikeIndex(allowed: readonly string[]): LookalikeIndex {
  const index = {
    owners: new Set<string>(),
    names: new Map<string, Entry[]>(),
    hyphenated: new Map<string, Entry[]>(),
    labels: new Map<string, Entry[]>(),
    skeletons: new Map<string, Entry[]>(),
    joined: new Map<string, Entry[]>(),
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
    index.owners.add(domain);
    for (const name of new Set([of, domain])) {
      put(index.names, name, entry);
      put(index.hyphenated, name.replaceAll('.', '-'), entry);
    }
    if (label.length < SHORTEST_LABEL) continue;
    put(index.labels, label, entry);
    put(index.skeletons, skeletonOf(label), entry);
    for (const key of new Set([label, before + label])) put(index.joined, key.replace(/[.-]/g, ''), entry);
  }
  return index;
}

/** `name` is canonical. `of` is the allowed host it imitates, `kind` how, in a word. Null: none that we know. */
export function lookalikeOf(index: LookalikeIndex, name: string): { of: string; kind: string } | null {
  const parts = splitName(name);
  if (parts === null || index.owners.has(`${parts.label}.${parts.suffix}`)) return null;
  const found =
    byLabels(index, name.split('.')) ??
    byUnicode(index, parts.label) ??
    byDomain(index, parts.label, parts.suffix) ??
    byAffix(index, parts.label) ??
    bySlip(index, parts.label, parts.suffix);
  if (found === null) return null;
  const closest = found.entries.find((entry) => entry.before === parts.before) ?? found.entries[0]!;
  return { of: closest.of, kind: found.kind };
}

interface Match {
  entries: readonly Entry[];
  kind: string;
}

function match(entries: readonly Entry[] | undefined, kind: string, suffix?: string): Match | null {
  const fitting = suffix === undefined ? entries : entries?.filter((entry) => entry.suffix === suffix);
  return fitting?.length ? { entries: fitting, kind } : null;
}

/** `github.com.example.org`, `login-github-com.example.org`. */
function byLabels(index: LookalikeIndex, labels: readonly string[]): Match | null {
  for (const part of stretches(labels.slice(0, -1))) {
    const found = match(index.names.get(part.join('.')), 'subdomain');
    if (found) return found;
  }
  for (const label of labels)
    for (const part of stretches(label.split('-'))) {
      const found = match(index.hyphenated.get(part.join('-')), 'hyphenated');
      if (found) return found;
    }
  return null;
}

/** `xn--gthub-n2e.com`. */
function byUnicode(index: LookalikeIndex, label: string): Match | null {
  const unicode = label.startsWith('xn--') ? unicodeOf(label) : null;
  if (unicode === null) return null;
  for (const meant of readings(skeletonOf(unicode))) {
    const found = match(index.skeletons.get(meant), 'idn');
    if (found) return found;
  }
  return null;
}

/** `github.org`, `git-hub.com`, `apigithub.com`, `g1thub.com`. */
function byDomain(index: LookalikeIndex, label: string, suffix: string): Match | null {
  return (
    match(index.labels.get(label), 'tld') ??
    match(index.joined.get(label.replaceAll('-', '')), 'hyphenated', suffix) ??
    match(index.skeletons.get(skeletonOf(label)), 'homoglyph')
  );
}

/** `github-login.com`, `securegithub.com`. */
function byAffix(index: LookalikeIndex, label: string): Match | null {
  const words = label.split('-').filter((word) => !AFFIXES.has(word) && !/^\d+$/.test(word));
  const found = match(index.labels.get(words.join('-')), 'affix');
  if (found) return found;
  for (const affix of AFFIXES) {
    const after = label.startsWith(affix) ? label.slice(affix.length) : '';
    const before = label.endsWith(affix) ? label.slice(0, -affix.length) : '';
    const found = match(index.labels.get(after) ?? index.labels.get(before), 'affix');
    if (found) return found;
  }
  return null;
}

function bySlip(index: LookalikeIndex, label: string, suffix: string): Match | null {
  for (const slip of slipsBefore(label)) {
    const found = match(index.labels.get(slip.label), slip.kind, suffix);
    if (found) return found;
  }
  return null;
}

/** Every run of two or more neighbours. */
function* stretches(parts: readonly string[]): Generator<string[]> {
  for (let start = 0; start < parts.length; start++)
    for (let end = parts.length; end > start + 1; end--) yield parts.slice(start, end);
}

/** The skeleton itself, and where one character of it looks like no letter, each letter in its place. */
function* readings(skeleton: string): Generator<string> {
  yield skeleton;
  const [unknown, ...more] = Array.from(skeleton).filter((character) => character > '\u007f');
  if (unknown === undefined || more.length > 0) return;
  for (const letter of 'abcdefghjklmnoprstuvwxyz-') yield skeleton.replace(unknown, letter);
}
