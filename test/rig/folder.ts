/** Taking away what a test has made. */
import { rmSync } from 'node:fs';

/**
 * With everything in it. While a fence stands, and after clawctl was killed, overlayfs keeps a folder in the layer over
 * the home that not even its owner may enter.
 */
export function removeFolder(folder: string): void {
  Bun.spawnSync(['chmod', '-R', 'u+rwx', folder], { stderr: 'ignore' });
  rmSync(folder, { recursive: true, force: true });
}
