/** Everything that is fuzzed without a network. */
import { DOCUMENTS } from './documents.ts';
import { HANDSHAKES } from './handshakes.ts';
import { HOSTS } from './hosts.ts';
import { QUESTIONS } from './questions.ts';
import { REQUESTS } from './requests.ts';
import type { Target } from './target.ts';

export const TARGETS: readonly Target[] = [...HOSTS, ...REQUESTS, ...HANDSHAKES, ...QUESTIONS, ...DOCUMENTS];
