/**
 * The variables that the runtime and the C library obey. They may come from anywhere and they run code, so
 * no process of ours starts with them: each is put aside under another name, and given back only to the
 * command inside the fence, whose business they are. The launcher of a checkout does the same in shell.
 */

type Environment = Readonly<Record<string, string | undefined>>;

const OBEYED = /^(BUN|NODE|LD|JSC|MIMALLOC|MALLOC|GLIBC|GCONV)_/;
const ASIDE = 'CLAWCTL_ENV_';
/** What the launcher itself sets. */
const LAUNCHER = 'BUN_RUNTIME_TRANSPILER_CACHE_PATH';

export function hasObeyed(environment: Environment, isLaunched: boolean): boolean {
  for (const name in environment) if (OBEYED.test(name) && !(isLaunched && name === LAUNCHER)) return true;
  return false;
}

/** The same environment with what the runtime would obey put aside. */
export function putAside(environment: Environment): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined) result[OBEYED.test(name) ? ASIDE + name : name] = value;
  return result;
}

/** The environment as the person had it: what the command gets. */
export function givenBack(environment: Environment): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined && !OBEYED.test(name))
      result[name.startsWith(ASIDE) ? name.slice(ASIDE.length) : name] = value;
  return result;
}
