/** Where source code and packages come from. */
import type { Preset } from './preset.ts';

export const githubReadPreset: Preset = {
  name: 'github-read',
  version: '1',
  source: 'Hosts that cloning and downloading from GitHub lead to, as published at api.github.com/meta.',
  risk:
    'github.com itself is unavoidable for reading and takes pushes under any account. Left out because they are ' +
    'mostly for writing: the API, uploads and gists.',
  hosts: [
    'github.com',
    'codeload.github.com',
    'objects.githubusercontent.com',
    'raw.githubusercontent.com',
    'release-assets.githubusercontent.com',
  ],
};

export const nodePreset: Preset = {
  name: 'node',
  version: '1',
  source:
    'Downloads and headers of Node.js. Packages come from the npm host in the preset default: use both.',
  risk: 'Read-only for everybody but the Node.js project.',
  hosts: ['nodejs.org'],
};

export const pythonPreset: Preset = {
  name: 'python',
  version: '1',
  source: 'What pip reads: the package index and its file host, from the documentation of the index.',
  risk: 'Anybody can publish a package, so what is installed may be hostile. Uploads go to another host, which is left out.',
  hosts: ['pypi.org', 'files.pythonhosted.org'],
};
