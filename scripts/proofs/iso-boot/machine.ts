import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

export type Firmware = 'BIOS' | 'UEFI';

export interface MachineOptions {
  readonly firmware: Firmware;
  readonly iso: string;
  /** A second ISO, in a drive of its own. */
  readonly data?: string | undefined;
  /** A disk that is still there after the machine was switched off. */
  readonly disk?: string | undefined;
  /** Where everything that the console shows goes. */
  readonly log: string;
  readonly timeoutMs: number;
}

const ovmf = '/usr/share/OVMF/OVMF_';

/** A virtual machine without a network device, and without KVM: it boots from the ISO. */
export class Machine {
  readonly #child: ChildProcess;
  readonly #started = performance.now();
  readonly #ended: Promise<unknown>;
  #console = '';

  constructor({ firmware, iso, data, disk, log, timeoutMs }: MachineOptions) {
    const pflash = (file: string, kind: string): string[] => [
      '-drive',
      `if=pflash,format=raw,${kind},file=${ovmf}${file}_4M.fd`,
    ];
    const args = [
      ...['-accel', 'tcg,thread=multi', '-machine', 'q35', '-cpu', 'max', '-smp', '2', '-m', '2560'],
      ...['-nodefaults', '-nographic', '-no-reboot', '-nic', 'none', '-serial', 'stdio'],
      ...(firmware === 'UEFI' ? [...pflash('CODE', 'readonly=on'), ...pflash('VARS', 'snapshot=on')] : []),
      ...['-device', 'virtio-scsi-pci', '-device', 'scsi-cd,drive=iso,bootindex=0'],
      ...['-drive', `if=none,id=iso,format=raw,readonly=on,file=${iso}`],
      ...(data === undefined
        ? []
        : ['-device', 'scsi-cd,drive=data', '-drive', `if=none,id=data,format=raw,readonly=on,file=${data}`]),
      ...(disk === undefined ? [] : ['-drive', `if=virtio,format=raw,cache=writethrough,file=${disk}`]),
    ];
    this.#child = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(log);
    const hear = (chunk: Buffer): void => {
      file.write(chunk);
      this.#console += chunk.toString('latin1');
    };
    this.#child.stdout?.on('data', hear);
    this.#child.stderr?.on('data', hear);
    const timer = setTimeout(() => this.cutPower(), timeoutMs);
    this.#ended = once(this.#child, 'close').finally(() => {
      clearTimeout(timer);
      file.end();
    });
    process.once('exit', () => this.cutPower());
  }

  /** What the console has shown so far, in lines without control sequences. */
  get console(): string {
    return this.#console.replace(/\u001b(?:\[[0-9;?]*[A-Za-z]|[c()].?)/g, '').replaceAll('\r', '');
  }

  /** Waits until the console shows `pattern`. @throws Error with its last lines where the machine ends before */
  async waitFor(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.console)) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`the machine ended without ${String(pattern)}:\n${this.console.slice(-3000)}`);
      }
      await sleep(50);
    }
  }

  /** Waits until it has switched itself off. @returns seconds since it was switched on */
  async end(): Promise<number> {
    await this.#ended;
    return (performance.now() - this.#started) / 1000;
  }

  cutPower(): void {
    this.#child.kill('SIGKILL');
  }
}
