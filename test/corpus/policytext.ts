/** The policies of the cases in the product's own language. */
import type { CorpusPolicy, Setup } from './case.ts';

/** Every policy allows this one too, so that a request to it can show that the gateway still serves. */
export const CONTROL = 'control.test';

const PRIVATE = ['10.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'];

/** `extra`: further lines of the file. */
export function policyText(policy: CorpusPolicy, setup: Setup = {}, extra = ''): string {
  const addresses = policy.private_ranges === 'allow' ? `, addresses: [${PRIVATE.join(', ')}]` : '';
  const item = (entry: string | { host: string }) => {
    if (typeof entry !== 'string') return JSON.stringify(entry);
    if (entry === '__NULL__') return 'null';
    return entry === '*' ? `{host: "*", force: true${addresses}}` : JSON.stringify(entry);
  };
  const list = (entries: readonly (string | { host: string })[]) =>
    entries.map((each) => `  - ${item(each)}\n`);
  const denied = [...(policy.deny ?? []), ...(setup.deny ?? [])];
  return [
    'version: 1\n',
    'allow:\n',
    ...list([...(policy.allow ?? []), CONTROL]),
    ...(denied.length === 0 ? [] : ['deny:\n', ...denied.map((each) => `  - ${JSON.stringify(each)}\n`)]),
    extra,
  ].join('');
}
