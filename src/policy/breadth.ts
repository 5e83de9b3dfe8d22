/** Rules that open more than a person usually means. They are possible, but have to be meant: `force: true`. */
import type { Pattern } from './pattern.ts';

/** Null for a pattern of ordinary breadth. Denials are never too broad. */
export function tooBroad(pattern: Pattern): { message: string; fix: string } | null {
  switch (pattern.kind) {
    case 'any':
      return {
        message: "'*' allows every host there is",
        fix: 'Name the hosts that are needed, or say force: true (--force) if every host is meant.',
      };
    case 'below':
      if (!isPublicSuffix(pattern.name)) return null;
      return {
        message: `'${pattern.text}' allows names that anybody can have: ${pattern.name} is a public suffix`,
        fix: `Name the host, such as yours.${pattern.name}, or say force: true (--force) if all of them are meant.`,
      };
    case 'range':
      if (pattern.range.bits > 0) return null;
      return {
        message: `'${pattern.text}' allows every address there is`,
        fix: 'Name the ranges that are needed, or say force: true (--force) if every address is meant.',
      };
    case 'name':
      return null;
  }
}

/**
 * The Public Suffix List takes milliseconds to load, which a start without wildcard rules need not pay; a dynamic
 * import would make every reader of a policy asynchronous for its sake.
 */
export function isPublicSuffix(name: string): boolean {
  const suffixes = require('../names/suffix.ts') as typeof import('../names/suffix.ts');
  return suffixes.isPublicSuffix(name);
}
