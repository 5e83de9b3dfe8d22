/** A folder for one test, with the paths that a person's policy has in it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-config-'));
  return {
    folder,
    paths: { policy: join(folder, 'clawctl', 'egress.yaml'), machinePolicy: join(folder, 'machine.yaml') },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
