import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';

import type { OperationOptions } from '../content/store.ts';
import { abortedError, EdgeBundleError, errorMessage, systemErrorCode, throwIfAborted } from '../errors.ts';

export interface XorrisoOptions extends OperationOptions {
  /** Called with how much of an image has been written, 0 to 1. */
  readonly onWritten?: ((share: number) => void) | undefined;
}

interface Started {
  readonly stdout: Readable;
  /** Its file descriptor 3. */
  readonly image: Readable;
  /** Fails where it fails. */
  readonly ended: Promise<void>;
  readonly stop: () => void;
}

/** Older ones have bugs in what is needed here: boot records that are kept, exact time stamps. */
const leastVersion = [1, 5, 0] as const;
const installHint =
  'Install the package xorriso, 1.5.0 or newer (apt-get install xorriso), or name the program with --xorriso.';
const keptOutputBytes = 64 * 1024 * 1024;
const keptErrorBytes = 64 * 1024;

/** GNU xorriso as a child process: it gets a list of arguments, never a shell's line. */
export class Xorriso {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  /** @throws EdgeBundleError XORRISO_MISSING where it is not there, does not start or is too old */
  static async find(program = 'xorriso', options: OperationOptions = {}): Promise<Xorriso> {
    const xorriso = new Xorriso(program);
    const text = await xorriso.run(['-version'], options).catch((error: unknown) => {
      throwIfAborted(options.signal);
      throw new EdgeBundleError('XORRISO_MISSING', `'${program}' cannot be used: ${errorMessage(error)}`, {
        hint: installHint,
        cause: error,
      });
    });
    const version = /xorriso version\s*:\s*(?<version>\d+\.\d+\.\d+)/.exec(text)?.groups?.version;
    if (version !== undefined && !isOlder(version)) return xorriso;
    const what = version === undefined ? 'tells no version' : `is version ${version}`;
    throw new EdgeBundleError('XORRISO_MISSING', `'${program}' ${what}; ${leastVersion.join('.')} or newer is needed`, {
      hint: installHint,
    });
  }

  /**
   * Runs its commands to their end, and gives what they print as their result.
   *
   * @throws EdgeBundleError ISO_FAILED with its own words; NO_SPACE, ABORTED
   */
  async run(commands: readonly string[], { onWritten, signal }: XorrisoOptions = {}): Promise<string> {
    const { stdout, ended } = this.#start(commands, { onWritten, signal });
    let output = '';
    stdout.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-keptOutputBytes);
    });
    await ended;
    return output;
  }

  /**
   * The image that its commands write, from its first byte on. Whoever has enough goes, and it is stopped.
   *
   * @throws EdgeBundleError ISO_FAILED with its own words; ABORTED
   */
  async *image(commands: readonly string[], { signal }: OperationOptions = {}): AsyncGenerator<Buffer, void> {
    const { stdout, image, ended, stop } = this.#start(['-outdev', 'stdio:/dev/fd/3', ...commands], { signal });
    stdout.resume();
    ended.catch(() => undefined);
    try {
      for await (const chunk of image) yield chunk as Buffer;
      await ended;
    } finally {
      stop();
      await ended.catch(() => undefined);
    }
  }

  #start(commands: readonly string[], { onWritten, signal }: XorrisoOptions): Started {
    throwIfAborted(signal);
    const args = ['-no_rc', '-abort_on', 'FAILURE', '-return_with', 'SORRY', '32', ...commands];
    // Its messages are parsed: no locale. What is written depends on the arguments alone: no time from the environment.
    const environment = { PATH: process.env.PATH, HOME: process.env.HOME, LC_ALL: 'C.UTF-8', TZ: 'UTC' };
    const child = spawn(this.#program, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe', 'pipe'], signal });
    const [stdout, stderr, image] = child.stdio.slice(1, 4) as [Readable, Readable, Readable];
    let failure: unknown;
    child.once('error', (error) => (failure = error));
    let said = '';
    stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-keptErrorBytes);
      const percent = /(?<percent>\d+(?:\.\d+)?)%(?: fifo| done|\s)/.exec(text)?.groups?.percent;
      if (percent !== undefined) onWritten?.(Number(percent) / 100);
    });
    const end = async (): Promise<void> => {
      const [code] = (await once(child, 'close').catch((error: unknown) => {
        failure ??= error;
        return [1];
      })) as [number | null];
      if (signal?.aborted === true) throw abortedError(signal);
      if (failure !== undefined || code !== 0) throw this.#failureOf(failure, said);
    };
    return { stdout, image, ended: end(), stop: () => child.kill('SIGKILL') };
  }

  #failureOf(failure: unknown, said: string): EdgeBundleError {
    if (systemErrorCode(failure) === 'ENOENT') {
      return new EdgeBundleError('XORRISO_MISSING', `'${this.#program}' is not installed here`, {
        hint: installHint,
        cause: failure,
      });
    }
    if (failure !== undefined)
      return new EdgeBundleError('ISO_FAILED', `xorriso: ${errorMessage(failure)}`, { cause: failure });
    if (said.includes('No space left on device')) {
      return new EdgeBundleError('NO_SPACE', 'the ISO does not fit on the disk', {
        hint: 'Free some space, or choose another place for it.',
      });
    }
    const reasons = said.split('\n').filter((line) => /: (?:FATAL|FAILURE|MISHAP|SORRY|ABORT) : /.test(line));
    const text = (reasons.length > 0 ? reasons : said.trim().split('\n').slice(-3))
      .map((line) => line.replace(/^xorriso : (?:FATAL|FAILURE|MISHAP|SORRY) : /, ''))
      .slice(0, 5)
      .join('; ');
    return new EdgeBundleError('ISO_FAILED', `xorriso: ${text}`);
  }
}

function isOlder(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [index, least] of leastVersion.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part < least;
  }
  return false;
}
