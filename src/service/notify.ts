/** Telling systemd how the service is (sd_notify(3)). Nothing where it was not started by it. */

import { sendToUnix } from '../os/endpoints.ts';
import { OsError } from '../os/libc.ts';

export function notifySystemd(state: string, environment = process.env): void {
  const path = environment.NOTIFY_SOCKET;
  if (path === undefined || !/^[/@]/.test(path)) return;
  try {
    sendToUnix(path, state);
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
  }
}

/** Milliseconds within which systemd wants to hear WATCHDOG=1, or null. */
export function watchdogMilliseconds(environment = process.env): number | null {
  const microseconds = Number(environment.WATCHDOG_USEC);
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 1000 : null;
}
