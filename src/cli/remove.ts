/** `clawctl egress remove`: take back what was allowed, and say what still allows it. */
import { resolve } from 'node:path';
import { EXIT } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { type Removed, removeRules } from '../config/edit.ts';
import { displayName } from '../names/display.ts';
import { ruleText } from '../policy/decide.ts';
import { ruleItem } from './answers.ts';
import { print, printJson, say, sayRaw } from './output.ts';
import { recordEdit } from './recordedit.ts';

interface Options {
  policy?: string;
  json?: boolean;
}

/** Resolves to the exit code: 1 where something that was named is still allowed, or was not there. */
export async function remove(hosts: readonly string[], options: Options): Promise<number> {
  const paths = pathsOf();
  const file = options.policy === undefined ? paths.policy : resolve(options.policy);
  const result = removeRules(file, hosts, paths);
  await recordEdit(
    paths,
    result.removed.map((rule) => `took back ${displayName(rule.host)}`),
  );
  if (options.json === true) printJson('remove', asDocument(result));
  else tell(result);
  return result.missing.length > 0 || result.remaining.length > 0 ? EXIT.failed : EXIT.done;
}

const asDocument = ({ file, removed, missing, remaining }: Removed) => ({
  file,
  removed: removed.map(ruleItem),
  missing,
  remaining: remaining.map(({ host, rule }) => ({ host, rule: ruleItem(rule) })),
});

function tell({ removed, missing, remaining }: Removed): void {
  for (const rule of removed) print(`Took back ${displayName(rule.host)} (it was ${ruleText(rule)})`);
  for (const host of missing)
    if (!remaining.some((each) => each.host === host)) {
      say(`no rule allows ${displayName(host)}.`);
      sayRaw('  See what there is: clawctl egress list\n');
    }
  for (const { host, rule } of remaining) {
    say(
      `${displayName(host)} is still allowed: ${ruleText(rule)}${rule.host === host ? '' : ` (${rule.host})`}.`,
    );
    const { source } = rule;
    const whole = source.kind === 'preset' ? `Take ${source.preset} out under presets:, or write` : 'Write';
    sayRaw(`  ${whole} ${host} under deny: in the policy file.\n`);
  }
}
