import type { Preset } from './preset.ts';

/** What every policy starts with. The only place that names these package hosts; tests read them from here. */
export const defaultPreset: Preset = {
  name: 'default',
  version: '1',
  source: 'The default allowlist of the Clawctl egress guide, nothing more.',
  risk:
    'The model APIs accept uploads under any key, github.com accepts pushes under any account, and anybody can ' +
    'publish a package: each is a way out for data that an attacker brings credentials for.',
  hosts: ['api.anthropic.com', 'api.openai.com', 'github.com', 'registry.npmjs.org'],
};
