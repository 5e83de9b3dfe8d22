import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addKill, removeKills } from './killfile.ts';
import { followKillSwitch, type Kill, killOf, killText, readKills } from './killswitch.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'clawctl-kill-'));
  file = join(folder, 'state', 'egress.kill');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const order = (agent: string | null, reason: string | null = null) => ({
  ...{ agent, by: 'ann', reason, now: Date.UTC(2026, 0, 31, 8) },
});

const put = (text: string) => {
  mkdirSync(join(folder, 'state'), { recursive: true });
  writeFileSync(file, text);
};

describe('the kill switch', () => {
  test('stops nothing where there is no file', () => {
    expect(readKills([file])).toEqual([]);
    expect(killOf(readKills([file]), 'bot')).toBeNull();
  });

  test('stops everything, and says who, when and why', () => {
    expect(addKill(file, order(null, 'SEC-12'))).toBeNull();
    const [kill] = readKills([file]);
    expect(killText(kill!)).toBe('everything is stopped, by ann since 2026-01-31T08:00:00Z (SEC-12)');
    expect(killOf(readKills([file]), 'anybody')).toMatchObject({ by: 'ann' });
  });

  test('stops one agent and not another, and both by and by', () => {
    addKill(file, order('bot'));
    expect(killOf(readKills([file]), 'bot')).not.toBeNull();
    expect(killOf(readKills([file]), 'other')).toBeNull();
    addKill(file, order('other'));
    expect(killOf(readKills([file]), 'other')).not.toBeNull();
    expect(removeKills(file, 'bot').map(({ agent }) => agent)).toEqual(['bot']);
    expect(killOf(readKills([file]), 'bot')).toBeNull();
    expect(killOf(readKills([file]), 'other')).not.toBeNull();
    removeKills(file, 'other');
    expect(existsSync(file)).toBe(false);
  });

  test('keeps who was first where the same is stopped again', () => {
    addKill(file, order(null, 'first'));
    expect(addKill(file, order(null, 'second'))?.reason).toBe('first');
    expect(readKills([file])).toHaveLength(1);
  });

  test('lets everything go on at once', () => {
    addKill(file, order(null));
    addKill(file, order('bot'));
    expect(removeKills(file, null)).toHaveLength(2);
    expect(readKills([file])).toEqual([]);
  });

  const item = { agent: null, since: '2026-01-31T08:00:00Z', by: 'ann', reason: null };
  const document = (changes: object) => JSON.stringify({ version: 1, killed: [{ ...item, ...changes }] });
  test.each([
    ['nothing', ''],
    ['no JSON', 'on'],
    ['half of it', document({}).slice(0, -5)],
    ['another version', JSON.stringify({ version: 2, killed: [item] })],
    ['nobody', JSON.stringify({ version: 1, killed: [] })],
    ['an unknown key', document({ until: 'later' })],
    ['a missing key', JSON.stringify({ version: 1, killed: [{ agent: 'bot' }] })],
    ['an agent that is no text', document({ agent: 7 })],
    ['a time that is none', document({ since: 'yesterday' })],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00])],
  ])('stops everything where its file holds %s', (_, text) => {
    mkdirSync(join(folder, 'state'));
    writeFileSync(file, text);
    expect(killOf(readKills([file]), 'bot')?.damage).toBeString();
  });

  test('stops everything where its file is a folder, or a link to nothing', () => {
    mkdirSync(file, { recursive: true });
    expect(killOf(readKills([file]), 'bot')?.damage).toBe('it is a folder');
    expect(() => removeKills(file, null)).toThrow('is a folder, and stops everything');
    rmSync(file, { recursive: true });
    symlinkSync('/nonexistent', file);
    expect(killOf(readKills([file]), 'bot')?.damage).toContain('ENOENT');
  });

  test('stops everything where the folder is none, or may not be looked into', () => {
    writeFileSync(join(folder, 'state'), '');
    expect(killOf(readKills([file]), 'bot')?.damage).toContain('ENOTDIR');
    if (process.getuid!() === 0) return;
    rmSync(join(folder, 'state'));
    mkdirSync(join(folder, 'state'), { mode: 0 });
    expect(killOf(readKills([file]), 'bot')?.damage).toContain('EACCES');
    chmodSync(join(folder, 'state'), 0o700);
  });

  test('of one agent never opens what a damaged file stops', () => {
    put('{');
    expect(addKill(file, order('bot'))?.damage).toBe('it is damaged');
    expect(killOf(readKills([file]), 'other')).not.toBeNull();
    expect(removeKills(file, 'bot')).toEqual([]);
    expect(killOf(readKills([file]), 'bot')).not.toBeNull();
  });

  test('mends a damaged file by stopping everything in so many words', () => {
    put('{');
    addKill(file, order(null, 'SEC-12'));
    expect(readKills([file])).toMatchObject([{ agent: null, reason: 'SEC-12', damage: null }]);
  });

  test('of the machine and of the user both count', () => {
    const machine = join(folder, 'machine.kill');
    addKill(machine, order('bot'));
    expect(killOf(readKills([machine, file]), 'bot')).not.toBeNull();
    addKill(file, order(null));
    removeKills(machine, null);
    expect(killOf(readKills([machine, file]), 'bot')).not.toBeNull();
  });

  test('is not lost when two stop at once', async () => {
    const script = `import { addKill } from '${join(import.meta.dir, 'killfile.ts')}';
      for (let i = 0; i < 20; i++) addKill(process.argv[2], { agent: process.argv[3] + i, by: 'ann', reason: null, now: 1 });`;
    const scriptFile = join(folder, 'stop.ts');
    writeFileSync(scriptFile, script);
    const children = ['a', 'b'].map((name) => Bun.spawn([process.execPath, scriptFile, file, name]));
    expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0]);
    expect(readKills([file])).toHaveLength(40);
  });

  test('leaves a file that everybody may read and only its owner change', () => {
    addKill(file, order('bot'));
    expect(readFileSync(file, 'utf8')).toEndWith('\n');
    expect(Bun.file(file).size).toBeGreaterThan(0);
  });

  test('tells whoever follows it, each time', async () => {
    const seen: (readonly Kill[])[] = [];
    let told = Promise.withResolvers<void>();
    const killSwitch = followKillSwitch([file], (kills) => {
      seen.push(kills);
      told.resolve();
    });
    const change = async (act: () => void) => {
      told = Promise.withResolvers();
      act();
      await told.promise;
    };
    expect(killSwitch.isKilled('bot')).toBe(false);
    await change(() => addKill(file, order('bot')));
    expect([killSwitch.isKilled('bot'), killSwitch.isKilled('other')]).toEqual([true, false]);
    await change(() => writeFileSync(file, 'x'));
    expect(killSwitch.isKilled('other')).toBe(true);
    await change(() => rmSync(file));
    expect(killSwitch.isKilled('bot')).toBe(false);
    killSwitch.close();
    expect(seen).toHaveLength(3);
  });
});
