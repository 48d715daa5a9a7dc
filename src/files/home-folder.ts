import { homedir } from 'node:os';

/**
 * The user's own folder: `HOME`, or else what the system has for the user. Undefined where neither knows one, as for the
 * user ids that containers of CI servers make up.
 */
export function homeFolder({ HOME }: Readonly<Record<string, string | undefined>>): string | undefined {
  if (HOME !== undefined && HOME !== '') return HOME;
  try {
    const folder = homedir();
    return folder === '' ? undefined : folder;
  } catch {
    return undefined;
  }
}
