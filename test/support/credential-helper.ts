import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Programs `docker-credential-NAME` in a folder of their own. */
export interface CredentialHelpers {
  /** An environment whose PATH has them. */
  readonly environment: Readonly<Record<string, string>>;
  /** Adds one: a script for /bin/sh, whose `$1` is `get`, `store` or `erase`. */
  add(name: string, script: string): Promise<void>;
}

export async function makeCredentialHelpers(folder: string): Promise<CredentialHelpers> {
  const programs = join(folder, 'programs');
  await mkdir(programs, { recursive: true });
  return {
    environment: { PATH: `${programs}:/usr/bin:/bin`, HOME: folder },
    async add(name, script) {
      const path = join(programs, `docker-credential-${name}`);
      await writeFile(path, `#!/bin/sh\n${script}\n`);
      await chmod(path, 0o755);
    },
  };
}

/** A helper that keeps what it is given in files in `folder`, and counts its runs in `folder`/runs. */
export function keepingHelper(folder: string): string {
  return `
mkdir -p '${folder}'; cd '${folder}'; echo "$1" >> runs; input=$(cat)
name() { printf '%s' "$1" | tr '/:' '__'; }
case "$1" in
  store)
    server=$(printf '%s' "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/')
    printf '%s' "$input" > "$(name "$server")" ;;
  get)
    if [ -f "$(name "$input")" ]; then cat "$(name "$input")"
    else echo 'credentials not found in native keychain'; exit 1; fi ;;
  erase) rm -f "$(name "$input")" ;;
esac`;
}
