/** Every preset that ships with the program, and the policy that holds where nobody wrote one. */
import type { PolicyDocument } from '../document.ts';
import { githubReadPreset, nodePreset, pythonPreset } from './code.ts';
import { defaultPreset } from './default.ts';
import { anthropicPreset, openaiPreset } from './models.ts';
import type { Preset } from './preset.ts';
import { openclawPreset, slackPreset } from './services.ts';

export const PRESETS: readonly Preset[] = [
  defaultPreset,
  anthropicPreset,
  openaiPreset,
  githubReadPreset,
  nodePreset,
  pythonPreset,
  openclawPreset,
  slackPreset,
];

/** The built-in policy, as it is written out when a person first adds a rule. */
export const BUILT_IN = `# What agents on this account may reach. Everything else is refused and recorded.
version: 1
mode: enforce

# Lists that ship with the program; 'clawctl egress presets' shows them.
presets: [default]
`;

/** What the own file begins with where a machine-wide one says already what is allowed. */
export const BELOW_MACHINE = `# What agents on this account may reach, besides what the machine-wide policy allows.
version: 1
`;

/** The same as `readDocument` reads it, for those who would otherwise load a reader of YAML for nothing else. */
export function builtInDocument(file: string): PolicyDocument {
  return { ...emptyDocument(file), mode: 'enforce', presets: [defaultPreset] };
}

/** Of a file that is not there and adds nothing. */
export function emptyDocument(file: string): PolicyDocument {
  return {
    file,
    mode: null,
    locked: false,
    presets: [],
    rules: [],
    agents: new Map(),
    hosts: new Map(),
    upstream: null,
    limits: {},
    listen: [],
    alerts: [],
    channels: [],
  };
}
