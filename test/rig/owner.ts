/**
 * Programs of alerts are run only where no stranger can change them. In the rig of an ordinary user root is a
 * stranger, since the namespace does not know him, and everything lies below a folder of his.
 */
import { statSync } from 'node:fs';

export const isRootKnown = statSync('/').uid === 0;
if (!isRootKnown)
  console.warn('skipped: root is nobody in this user namespace, so no program of alerts is run');
