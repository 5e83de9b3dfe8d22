/** Model providers. */
import type { Preset } from './preset.ts';

export const anthropicPreset: Preset = {
  name: 'anthropic',
  version: '1',
  source: "Hosts of the Claude API and of signing in to it, from the provider's network documentation.",
  risk: 'The API accepts messages and files under any key, so data can leave into an account of somebody else.',
  hosts: ['api.anthropic.com', 'claude.ai', 'platform.claude.com'],
};

export const openaiPreset: Preset = {
  name: 'openai',
  version: '1',
  source: "Hosts of the OpenAI API and of signing in to it, from the provider's documentation.",
  risk: 'The API accepts messages and files under any key, so data can leave into an account of somebody else.',
  hosts: ['api.openai.com', 'auth.openai.com'],
};
