/**
 * For tests, a program: launches the request that it is given as JSON, serves the fence's listener with one answer,
 * writes notices to the file that is named, and ends as the command does.
 */
import { writeFileSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { listenOn } from '../net/listen.ts';
import { type LaunchRequest, launch } from './launch.ts';

export interface Told {
  notices: string[];
  changed: string[];
  failure: { code: string; message: string; fix: string | undefined } | null;
  /** Milliseconds from the launch to the moment before `go`. */
  start: number;
}

if (import.meta.main) {
  const [request, report] = process.argv.slice(2) as [string, string];
  const told: Told = { notices: [], changed: [], failure: null, start: 0 };
  let code: number;
  try {
    const begin = performance.now();
    const sandbox = await launch(JSON.parse(request) as LaunchRequest);
    const { listeners } = await sandbox.network();
    listenOn(listeners.tcp, (socket) => {
      socket.write(Buffer.from('HTTP/1.0 200 OK\r\n\r\nthe gateway'));
      socket.end();
      return socket.handler;
    });
    await sandbox.verify();
    told.notices = sandbox.notices;
    told.start = performance.now() - begin;
    writeFileSync(report, JSON.stringify(told));
    sandbox.go();
    code = await sandbox.exited;
    told.changed = sandbox.changedTools();
    await sandbox.stop();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    told.failure = { code: error.code, message: error.message, fix: error.fix };
    code = error.exit;
  }
  writeFileSync(report, JSON.stringify(told));
  process.exit(code);
}
