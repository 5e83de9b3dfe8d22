/**
 * Edits that commands make to the policy file. The first one writes the built-in policy there, which held until then (and
 * does not where a machine-wide file says what is allowed); later ones change a line and leave the rest, comments and order
 * included. A file that does not parse is never touched, and what would be written is read back before it is.
 */
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { parseHost } from '../names/host.ts';
import { isAgentName } from '../policy/agentname.ts';
import { tooBroad } from '../policy/breadth.ts';
import { compile } from '../policy/compile.ts';
import { decide } from '../policy/decide.ts';
import type { Rule } from '../policy/decision.ts';
import { type PolicyDocument, readDocument } from '../policy/document.ts';
import { lint, type Warning } from '../policy/lint.ts';
import { bracketed, type Pattern, readPattern } from '../policy/pattern.ts';
import { rulesOf } from '../policy/policy.ts';
import { BELOW_MACHINE, BUILT_IN, PRESETS } from '../policy/presets/presets.ts';
import { didYouMean } from '../policy/problem.ts';
import { WEB_PORTS } from '../policy/ruleentry.ts';
import { documentOf } from './load.ts';
import { readPolicyFile } from './policyfile.ts';
import { replacePolicyFile } from './replacement.ts';
import { itemOf } from './ruleitem.ts';
import { addItems, removeItem, replaceItem } from './splice.ts';

/** A rule to be added: what the options of `add` say. */
export interface Addition {
  host: string;
  /** Empty: 80 and 443. */
  ports: readonly number[];
  agent: string | null;
  /** Milliseconds since the epoch. */
  until: number | null;
  note: string | null;
  force: boolean;
}

export interface Added {
  file: string;
  /** Whether the file did not exist. */
  created: boolean;
  /** Whether the built-in policy is what it begins with if it did not. */
  builtIn: boolean;
  added: readonly Rule[];
  /** Rules that the file had already. */
  unchanged: readonly Rule[];
  /** Denials that still beat what was added. */
  denials: readonly Rule[];
  /** About what was added. */
  warnings: readonly Warning[];
}

export interface Removed {
  file: string;
  removed: readonly Rule[];
  /** Hosts for which the file has no allow rule, canonical. */
  missing: readonly string[];
  /** For each host that is still allowed, a rule of the file or a preset that allows it. */
  remaining: ReadonlyArray<{ host: string; rule: Rule }>;
}

/** `machinePolicy`: the machine-wide file, which may forbid additions. Throws a Failure; then nothing has changed. */
export function addRules(
  file: string,
  additions: readonly Addition[],
  { machinePolicy }: { machinePolicy: string },
): Added {
  const hosts = additions.map((addition) => checkAddition(addition).text);
  const machine = unlockedMachinePolicy(machinePolicy);
  const added: string[] = [];
  const unchanged: Rule[] = [];
  const beginning = beginningFor(machinePolicy);
  const { created, document } = editFile(file, beginning, (text) =>
    additions.reduce((edited, addition, i) => {
      const host = hosts[i]!;
      const before = documentOf(edited, file);
      const standing = standingRule(before, host, addition);
      if (standing !== null) {
        unchanged.push(standing);
        return edited;
      }
      const old = replaceable(before, host, addition);
      const written = old === null ? append(edited, host, addition) : rewrite(edited, old, host, addition);
      added.push(...checkedChange(file, before, written, 1, old === null ? 0 : 1));
      return written;
    }, text),
  );
  const rules = placesOf(document)
    .map(({ rule }) => rule)
    .filter((rule) => added.includes(keyOf(rule)));
  return {
    file,
    created,
    builtIn: beginning === BUILT_IN,
    added: rules,
    unchanged,
    denials: denialsOf([...machine, document], rules),
    warnings: lint(document, systemClock.now()).filter(({ rule }) => added.includes(keyOf(rule))),
  };
}

/** Takes every allow rule with one of these hosts out, those of agents' sections included; denials stay. */
export function removeRules(
  file: string,
  hosts: readonly string[],
  { machinePolicy }: { machinePolicy: string },
): Removed {
  const wanted = hosts.map((host) => patternIn(host).text);
  const removed: Rule[] = [];
  const { document } = editFile(file, beginningFor(machinePolicy), (text) => {
    const before = documentOf(text, file);
    const places = placesOf(before)
      .filter(({ rule }) => rule.action === 'allow' && wanted.includes(rule.host))
      .map((place) => ({ ...place, offset: offsetOf(text, place.rule) }))
      .sort((a, b) => a.offset - b.offset);
    removed.push(...places.map(({ rule }) => rule));
    // From the last to the first, so that the places of the others stay what they are.
    const written = places.reduceRight((edited, { path, offset }) => removeItem(edited, path, offset), text);
    checkedChange(file, before, written, 0, places.length);
    return written;
  });
  const missing = wanted.filter((host) => !removed.some((rule) => rule.host === host));
  return { file, removed, missing, remaining: wanted.flatMap((host) => remainingFor(document, host)) };
}

/** Adds a preset to the list of the file. */
export function addPreset(
  file: string,
  name: string,
  { machinePolicy }: { machinePolicy: string },
): { file: string; created: boolean; builtIn: boolean; changed: boolean } {
  const names = PRESETS.map((preset) => preset.name);
  if (!names.includes(name))
    throw new Failure('usage', `there is no preset '${name}'`, didYouMean(name, names));
  unlockedMachinePolicy(machinePolicy);
  const has = (document: PolicyDocument) => document.presets.some((preset) => preset.name === name);
  let changed = false;
  const beginning = beginningFor(machinePolicy);
  const { created } = editFile(file, beginning, (text) => {
    const before = documentOf(text, file);
    if (has(before)) return text;
    changed = true;
    const written = addItems(text, ['presets'], [{ block: [name], flow: name }]);
    checkedChange(file, before, written, 0, 0);
    if (!has(documentOf(written, file))) throw notEditable(file);
    return written;
  });
  return { file, created, builtIn: beginning === BUILT_IN, changed };
}

/** What a file that is not there yet begins with: what held without it. */
function beginningFor(machinePolicy: string): string {
  return readPolicyFile(machinePolicy) === null ? BUILT_IN : BELOW_MACHINE;
}

/** `edit` gets the text of the file, or what it begins with; an unchanged text is not written. */
function editFile(
  file: string,
  beginning: string,
  edit: (text: string) => string,
): { created: boolean; document: PolicyDocument } {
  let created = false;
  let after = '';
  replacePolicyFile(file, (text) => {
    const before = text ?? beginning;
    after = edit(before);
    if (after === before) return null;
    created = text === null;
    return after;
  });
  return { created, document: documentOf(after, file) };
}

/** Where an allow rule for this host stands or would stand. */
function pathFor({ agent }: Addition): string[] {
  return agent === null ? ['allow'] : ['agents', agent, 'allow'];
}

interface Place {
  path: string[];
  rule: Rule;
}

function placesOf(document: PolicyDocument): Place[] {
  const sections = [...document.agents].flatMap(([name, section]) =>
    section.rules.map((rule) => ({ path: ['agents', name, rule.action], rule })),
  );
  return [...document.rules.map((rule) => ({ path: [rule.action], rule })), ...sections];
}

/** A rule, perhaps of a preset, that says all that the addition says. */
function standingRule(document: PolicyDocument, host: string, addition: Addition): Rule | null {
  const old = replaceable(document, host, addition)?.rule;
  if (old !== undefined) {
    const { until, note, force } = addition;
    const same = old.until === until && (note === null || note === old.note) && (!force || old.force);
    return same ? old : null;
  }
  for (const rule of addition.agent === null ? rulesOf(compile([document])) : [])
    if (rule.source.kind === 'preset' && rule.host === host && samePorts(rule, addition)) return rule;
  return null;
}

/** The rule that differs from the addition at most in when it ends, its note and its force. */
function replaceable(document: PolicyDocument, host: string, addition: Addition): Place | null {
  const path = pathFor(addition).join(' ');
  const found = placesOf(document).find(
    ({ path: other, rule }) =>
      other.join(' ') === path &&
      rule.host === host &&
      rule.agents.length === (addition.agent === null ? 0 : 1) &&
      rule.addresses.length === 0 &&
      rule.tls === 'sni' &&
      rule.upgrade.length === 0 &&
      rule.bytesUpPerDay === null &&
      samePorts(rule, addition),
  );
  return found ?? null;
}

function samePorts(rule: Rule, { ports }: Addition): boolean {
  const wanted = new Set(ports.length === 0 ? WEB_PORTS : ports);
  return rule.ports.length === wanted.size && rule.ports.every((port) => wanted.has(port));
}

function append(text: string, host: string, addition: Addition): string {
  return addItems(text, pathFor(addition), [itemOf({ ...addition, host })]);
}

function rewrite(text: string, { path, rule }: Place, host: string, addition: Addition): string {
  const note = addition.note ?? rule.note;
  const item = itemOf({ ...addition, host, note, force: addition.force || rule.force });
  return replaceItem(text, path, offsetOf(text, rule), item);
}

/** The keys of new rules; a Failure where the text does not say what the edit was meant to say. */
function checkedChange(
  file: string,
  before: PolicyDocument,
  text: string,
  added: number,
  removed: number,
): string[] {
  const after = readDocument(text, file);
  if (!after.ok) throw notEditable(file);
  const old = placesOf(before).map(({ rule }) => keyOf(rule));
  const now = placesOf(after.document).map(({ rule }) => keyOf(rule));
  const fresh = without(now, old);
  if (fresh.length !== added || without(old, now).length !== removed) throw notEditable(file);
  return fresh;
}

/** The items of `list` that `other` lacks, counted. */
function without(list: readonly string[], other: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const key of other) counts.set(key, (counts.get(key) ?? 0) + 1);
  return list.filter((key) => {
    const count = counts.get(key) ?? 0;
    counts.set(key, count - 1);
    return count <= 0;
  });
}

/** All of a rule but where it stands. */
function keyOf({ source: _source, ...rule }: Rule): string {
  return JSON.stringify(rule);
}

function notEditable(file: string): Failure {
  return new Failure(
    'policy-unwritable',
    `${file} is written in a way that cannot be changed safely`,
    'Edit it by hand.',
  );
}

function offsetOf(text: string, { source }: Rule): number {
  if (source.kind !== 'file') return -1;
  let start = 0;
  for (let line = 1; line < source.line; line++) start = text.indexOf('\n', start) + 1;
  return start + source.column - 1;
}

function patternIn(host: string): Pattern {
  const result = readPattern(host);
  if (result.ok) return result.pattern;
  throw new Failure('bad-host', `'${host}' is not a host: ${result.message}`, result.fix ?? undefined);
}

function checkAddition({ host, ports, agent, force }: Addition): Pattern {
  const pattern = patternIn(host);
  const broad = force ? null : tooBroad(pattern);
  if (broad !== null) throw new Failure('bad-host', broad.message, broad.fix);
  const port = ports.find((port) => !Number.isInteger(port) || port < 1 || port > 65_535);
  if (port !== undefined) throw new Failure('bad-port', `${port} is not a port`);
  if (agent !== null && !isAgentName(agent))
    throw new Failure('usage', `'${agent}' is not the name of an agent`);
  return pattern;
}

/** The machine-wide document, if there is one; a Failure if it forbids additions. */
function unlockedMachinePolicy(file: string): PolicyDocument[] {
  const text = readPolicyFile(file);
  if (text === null) return [];
  const document = documentOf(text, file);
  if (document.locked) throw new Failure('policy-locked', `${file} is locked: nothing can be added below it`);
  return [document];
}

/** Denials that refuse what these allow rules are for. */
function denialsOf(documents: readonly PolicyDocument[], rules: readonly Rule[]): Rule[] {
  const policy = compile(documents);
  const at = { now: systemClock.now(), killed: false, grants: [] };
  const denials = rules.map(({ host, ports, agents }) => {
    const target = parseHost(bracketed(host));
    if (target === null) return null;
    const decision = decide(policy, { agent: agents[0] ?? '', host: target, port: ports[0]! }, at);
    return decision.reason === 'denied' ? decision.rule : null;
  });
  return denials.filter((rule) => rule !== null);
}

function remainingFor(document: PolicyDocument, host: string): Array<{ host: string; rule: Rule }> {
  for (const rule of rulesOf(compile([document])))
    if (rule.action === 'allow' && covers(rule.host, host)) return [{ host, rule }];
  return [];
}

/** Whether all that `host` stands for lies below the wildcard, or is the same. */
function covers(pattern: string, host: string): boolean {
  return pattern === host || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1)));
}
