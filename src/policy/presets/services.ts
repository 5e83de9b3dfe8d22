/** Programs and services that agents work with. */
import type { Preset } from './preset.ts';

export const openclawPreset: Preset = {
  name: 'openclaw',
  version: '1',
  source: 'The site and documentation of OpenClaw. Its models and chat services have presets of their own.',
  risk: 'Read-only for everybody but its project. Left out: its skill directory, where anybody can publish.',
  hosts: ['openclaw.ai', 'docs.openclaw.ai'],
};

export const slackPreset: Preset = {
  name: 'slack',
  version: '1',
  source: "Hosts of the Web API, Socket Mode and files, from Slack's documentation.",
  risk:
    'The API accepts messages and files under any token, so data can leave into a workspace of somebody else. Left ' +
    'out: incoming webhooks, which need no token at all.',
  hosts: ['slack.com', 'files.slack.com', 'wss-primary.slack.com', 'wss-backup.slack.com'],
};
