/** Which files make up the policy, and reading them. */
import { resolve } from 'node:path';
import { Failure } from '../base/failure.ts';
import type { Paths } from '../base/paths.ts';
import { compile } from '../policy/compile.ts';
import type * as Documents from '../policy/document.ts';
import type { PolicyDocument } from '../policy/document.ts';
import type { Policy } from '../policy/policy.ts';
import { builtInDocument, emptyDocument } from '../policy/presets/presets.ts';
import { problemText } from '../policy/problem.ts';
import { readPolicyFile } from './policyfile.ts';

export interface PolicySource {
  paths: Pick<Paths, 'policy' | 'machinePolicy'>;
  /** In place of the person's own file; it has to exist. */
  policyFile?: string;
}

export interface LoadedPolicy {
  policy: Policy;
  /** Machine-wide first. Empty where a large policy came from another thread. */
  documents: readonly PolicyDocument[];
  /** The files that were read, absolute, in the same order; a policy of none is the built-in one alone. */
  files: readonly string[];
  /** Whether there was no file at all, so that the built-in policy holds. */
  builtIn: boolean;
}

/** Throws a Failure: `policy-missing` or `policy-broken` with everything that is wrong, positions included. */
export function loadPolicy({ paths, policyFile }: PolicySource): LoadedPolicy {
  const own = policyFile === undefined ? paths.policy : resolve(policyFile);
  const machineText = readPolicyFile(paths.machinePolicy);
  const text = readPolicyFile(own);
  if (text === null && policyFile !== undefined)
    throw new Failure('policy-missing', `there is no policy file ${own}`, 'Check the path.');
  const builtIn = text === null && machineText === null;
  const missing = builtIn ? builtInDocument : emptyDocument;
  // A file that is not there has its place all the same: it is where changes would be made.
  const documents = [text === null ? missing(own) : documentOf(text, own)];
  if (machineText !== null) documents.unshift(documentOf(machineText, paths.machinePolicy));
  const files = documents.map(({ file }) => file).filter((file) => text !== null || file !== own);
  return { policy: compile(documents), documents, files, builtIn };
}

/** The document, or a Failure that shows every problem as a compiler would. */
export function documentOf(text: string, file: string): PolicyDocument {
  // Loaded where there is a file to read: a person who waits for a start would wait for it, too.
  const { readDocument }: typeof Documents = require('../policy/document.ts');
  const result = readDocument(text, file);
  if (result.ok) return result.document;
  throw new Failure('policy-broken', result.problems.map(problemText).join('\n'));
}
