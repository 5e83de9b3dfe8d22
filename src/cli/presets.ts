/** `clawctl egress presets`: the lists of hosts that ship with the program, and what allowing each may cost. */
import { Failure } from '../base/failure.ts';
import { printable } from '../names/display.ts';
import { PRESETS } from '../policy/presets/presets.ts';
import { didYouMean } from '../policy/problem.ts';
import { bold, number, print, printJson, printTable } from './output.ts';

interface Options {
  json?: boolean;
}

export function presets(name: string | undefined, options: Options): void {
  const chosen = PRESETS.filter((preset) => name === undefined || preset.name === name);
  if (chosen.length === 0) throw unknownPreset(name!);
  if (options.json === true) printJson('presets', { items: chosen });
  else if (name === undefined) {
    const rows = chosen.map(({ name, version, hosts, risk }) => [name, version, number(hosts.length), risk]);
    printTable(['preset', 'version', 'hosts', 'risk'], rows);
  } else {
    const { version, source, risk, hosts } = chosen[0]!;
    print(`${bold(name)}, version ${version}\nsource: ${source}\nrisk: ${risk}`);
    for (const host of hosts) print(`  ${host}`);
  }
}

export function unknownPreset(name: string): Failure {
  const names = PRESETS.map((preset) => preset.name);
  return new Failure('not-found', `There is no preset '${printable(name)}'.`, didYouMean(name, names));
}
