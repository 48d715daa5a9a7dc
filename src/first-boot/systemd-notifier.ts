import { spawn } from 'node:child_process';

import { systemPath } from './block-devices.ts';

/** The variables that systemd gives to a service of Type=notify: sd_notify(3), sd_watchdog_enabled(3). */
export interface NotifyEnvironment {
  readonly NOTIFY_SOCKET?: string | undefined;
  readonly WATCHDOG_USEC?: string | undefined;
}

const timeoutMs = 5_000;
/** Twice the time between two lines of status, at least. */
const startExtensionUsec = 120_000_000;

/**
 * Tells systemd how far the service is. The protocol is a datagram to a socket, which Node.js cannot send: `systemd-notify`
 * does, which is part of every systemd. Where there is no systemd, or no such program, nothing is told.
 */
export class SystemdNotifier {
  readonly #socket: string | undefined;
  #last: Promise<void> = Promise.resolve();
  #waiting: string[] | undefined;
  /** How often WATCHDOG=1 has to come at least; in milliseconds. Undefined: never. */
  readonly watchdogMs: number | undefined;

  constructor({ NOTIFY_SOCKET, WATCHDOG_USEC }: NotifyEnvironment) {
    const isUsable = NOTIFY_SOCKET !== undefined && /^[@/]./.test(NOTIFY_SOCKET);
    this.#socket = isUsable ? NOTIFY_SOCKET : undefined;
    const watchdogMs = Number(WATCHDOG_USEC) / 1000;
    this.watchdogMs = isUsable && watchdogMs > 0 ? watchdogMs : undefined;
  }

  /** The service is up: units that wait for it start. */
  ready(): void {
    this.#send(['READY=1']);
  }

  /** One line that `systemctl status` shows; the service is alive, and needs more time where it is not up yet. */
  status(line: string): void {
    this.#send([`STATUS=${oneLine(line)}`, 'WATCHDOG=1', `EXTEND_TIMEOUT_USEC=${startExtensionUsec}`]);
  }

  stopping(): void {
    this.#send(['STOPPING=1']);
  }

  /** Returns when all that was told has been sent, or could not be. */
  async flush(): Promise<void> {
    for (let last; last !== this.#last;) {
      last = this.#last;
      await last;
    }
  }

  /** In order, one at a time. Of what waits, a later message goes with the earlier ones. */
  #send(variables: readonly string[]): void {
    if (this.#socket === undefined) return;
    if (this.#waiting !== undefined) {
      this.#waiting.push(...variables);
      return;
    }
    const batch = [...variables];
    this.#waiting = batch;
    this.#last = this.#last.then(() => {
      this.#waiting = undefined;
      return this.#notify(lastOfEach(batch));
    });
  }

  async #notify(variables: readonly string[]): Promise<void> {
    await new Promise<void>((resolve) => {
      const child = spawn('systemd-notify', ['--', ...variables], {
        env: { PATH: systemPath, NOTIFY_SOCKET: this.#socket },
        stdio: 'ignore',
        timeout: timeoutMs,
      });
      child.once('error', () => resolve());
      child.once('close', () => resolve());
    });
  }
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

function lastOfEach(variables: readonly string[]): readonly string[] {
  return [...new Map(variables.map((variable) => [variable.split('=', 1)[0], variable])).values()];
}
