import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { SystemdNotifier } from '../../src/first-boot/systemd-notifier.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Receives datagrams as systemd does: perl is on every Debian. */
const receiver = `
  use Socket; $| = 1;
  my $name = $ARGV[0]; $name =~ s/^@/\\0/;
  socket(my $s, PF_UNIX, SOCK_DGRAM, 0) or die; bind($s, pack_sockaddr_un($name)) or die "$!";
  print "listening\\n";
  while (defined recv($s, my $m, 65536, 0)) { $m =~ s/\\n/ | /g; print "$m\\n"; }
`;

const canReceive = existsSync('/usr/bin/perl') && existsSync('/usr/bin/systemd-notify');
let running: ChildProcess | undefined;

afterEach(() => void running?.kill());

async function receive(address: string): Promise<string[]> {
  const child = spawn('/usr/bin/perl', ['-e', receiver, '--', address], { stdio: ['ignore', 'pipe', 'inherit'] });
  running = child;
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  await once(child.stdout, 'data');
  const messages: string[] = [];
  child.stdout.on('data', () => messages.splice(0, Infinity, ...text.trim().split('\n').slice(1)));
  return messages;
}

describe.skipIf(!canReceive)('systemd', () => {
  it.each(['path', 'abstract'])('is told on a socket with a name of kind %s', async (kind) => {
    const address = kind === 'path' ? join(await temporaryFolder(), 'notify') : `@edge-bundle-test-${process.pid}`;
    const messages = await receive(address);
    const notifier = new SystemdNotifier({ NOTIFY_SOCKET: address, WATCHDOG_USEC: '300000000' });
    expect(notifier.watchdogMs).toBe(300_000);
    notifier.ready();
    notifier.status('loading a\n; rm -rf / --help');
    notifier.status('loading b');
    await notifier.flush();
    notifier.stopping();
    await notifier.flush();
    await expect.poll(() => messages.filter((text) => text.includes('STOPPING=1'))).toHaveLength(1);
    const told = messages.filter((text) => text !== 'BARRIER=1');
    expect(told[0]).toMatch(/^READY=1/);
    expect(told[0]).toContain('STATUS=loading b');
    expect(told[0]).toContain('WATCHDOG=1');
    expect(told[0]).toMatch(/EXTEND_TIMEOUT_USEC=\d+/);
    expect(told.join()).not.toContain('loading a');
  });
});

describe('without systemd', () => {
  it('nothing is told, and nothing fails', async () => {
    for (const environment of [{}, { NOTIFY_SOCKET: '/nonexistent/socket' }, { NOTIFY_SOCKET: 'vsock:2:1234' }]) {
      const notifier = new SystemdNotifier(environment);
      notifier.ready();
      notifier.status('loading');
      await notifier.flush();
    }
  });
});
