import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const blockBytes = 4096;

/**
 * Runs `task` with a copy of `path` on a disk that gives EIO for it from byte `from` on: the disk is a loop device whose file is
 * cut off there, below its file system.
 */
export async function withFailingFile(
  path: string,
  from: number,
  task: (copy: string) => Promise<void>,
): Promise<void> {
  const disk = new FailingDisk(path, from);
  try {
    await task(disk.copy);
  } finally {
    disk.remove();
  }
}

class FailingDisk {
  /** The file on it. */
  readonly copy: string;
  readonly #folder: string;
  readonly #device: string;

  constructor(path: string, from: number) {
    this.#folder = mkdtempSync(join(tmpdir(), 'edge-bundle-failing-'));
    const [image, content, mountPoint] = ['disk.img', 'content', 'mnt'].map((name) => join(this.#folder, name)) as [
      string,
      string,
      string,
    ];
    mkdirSync(content);
    mkdirSync(mountPoint);
    cpSync(path, join(content, basename(path)));
    const run = (program: string, ...args: readonly string[]): string =>
      execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
    // All that the file system keeps of itself comes before the file.
    run(
      'mke2fs',
      '-q',
      '-t',
      'ext4',
      '-O',
      '^has_journal,^flex_bg',
      '-b',
      String(blockBytes),
      '-d',
      content,
      image,
      '64M',
    );
    const block = run('debugfs', '-R', `bmap /${basename(path)} ${Math.floor(from / blockBytes)}`, image);
    this.#device = run('losetup', '--find', '--show', '--read-only', image);
    try {
      truncateSync(image, Number(block) * blockBytes);
      run('mount', '-t', 'ext4', '-o', 'ro', this.#device, mountPoint);
    } catch (error) {
      this.#detach();
      throw error;
    }
    this.copy = join(mountPoint, basename(path));
  }

  remove(): void {
    execFileSync('umount', ['--lazy', join(this.#folder, 'mnt')]);
    this.#detach();
  }

  #detach(): void {
    execFileSync('losetup', ['--detach', this.#device]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Why no disk can be made to fail here; undefined where it can. */
export const whyNoFailingDisk: string | undefined = tryDisk();

function tryDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'edge-bundle-failing-'));
  try {
    const file = join(folder, 'file');
    writeFileSync(file, Buffer.alloc(4 * blockBytes, 1));
    new FailingDisk(file, 2 * blockBytes).remove();
    return undefined;
  } catch (error) {
    return `no loop device can be mounted here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
