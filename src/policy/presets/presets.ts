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

/** The same as `readDocument` reads it, for those who would otherwise load a reader of YAML for nothing else. */
export function builtInDocument(file: string): PolicyDocument {
  return {
    file,
    mode: 'enforce',
    locked: false,
    presets: [defaultPreset],
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
