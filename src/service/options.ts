/** What a service is told when it starts. */
import type { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import type { ListenEntry } from '../policy/listener.ts';
import type { ServiceFolder } from './folder.ts';
import type { Inheritance } from './takeover.ts';

export interface ServiceOptions {
  paths: Paths;
  policyFile: string | null;
  environment: Readonly<Record<string, string>>;
  folder: ServiceFolder;
  /** From the command line; the policy's come beside them. */
  fixed: readonly ListenEntry[];
  listen: readonly ListenEntry[];
  workers: number;
  /** Milliseconds that open connections have at the end. */
  drain: number;
  admin: { host: string; port: number } | null;
  /** Words that start this program as a worker. */
  program: readonly string[];
  inheritance: Inheritance | null;
  /** A line for whoever watches. */
  say: (text: string) => void;
  /** Told once of a worker that cannot start at all. */
  onBroken: (failure: { code: Failure['code']; message: string; fix: string | null }) => void;
}
