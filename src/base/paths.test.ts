import { expect, test } from 'bun:test';
import { pathsOf } from './paths.ts';

const XDG = { XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '/s', XDG_RUNTIME_DIR: '/r' };

test('folders are where the variables say, and below the home where they say nothing that counts', () => {
  expect(pathsOf(XDG, '')).toMatchObject({
    config: '/c/clawctl',
    state: '/s/clawctl',
    runtime: '/r/clawctl',
  });
  expect(pathsOf({ XDG_CONFIG_HOME: 'relative' }, '/home/a')).toMatchObject({
    config: '/home/a/.config/clawctl',
    state: '/home/a/.local/state/clawctl',
    runtime: '/home/a/.local/state/clawctl/runtime/clawctl',
  });
});

test('a user without a home needs the variables, and is told so', () => {
  const stateOf = (environment: Record<string, string>) => {
    const script = `import { pathsOf } from '${import.meta.dir}/paths.ts'; console.log(pathsOf().state)`;
    const env = { ...environment, HOME: 'nowhere' };
    const { stdout, stderr } = Bun.spawnSync([process.execPath, '-e', script], { env });
    return `${stdout}${stderr}`;
  };
  expect(stateOf(XDG)).toBe('/s/clawctl\n');
  expect(stateOf({})).toContain('This user has no home');
});
