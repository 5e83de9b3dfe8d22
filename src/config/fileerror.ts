/** Errors of the file system as a person reads them. */

/** The code of an error of the operating system. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'it is a folder',
  ENOTDIR: 'part of the path is not a folder',
  ELOOP: 'it is a loop of symbolic links',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EROFS: 'the file system is read-only',
  ENXIO: 'it is not a regular file',
};

/** What happened, in a few words. */
export function reasonOf(error: unknown): string {
  return REASONS[codeOf(error) ?? ''] ?? (error instanceof Error ? error.message : String(error));
}

export function adviceOf(error: unknown): string | undefined {
  if (codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM')
    return 'Check who owns the file and its folder.';
  return codeOf(error) === 'ENOSPC' ? 'Nothing was changed. Free some space and try again.' : undefined;
}
