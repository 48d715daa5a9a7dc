import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { FirstBootEvent } from '../../first-boot/reporter.ts';
import { formatFirstBoot } from '../../report/first-boot.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import { LineProgress } from '../progress/lines.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';

const options = {
  config: {
    type: 'string',
    requiresArg: true,
    default: '/etc/edge-bundle/first-boot.yaml',
    describe: 'What is loaded, from where, and into which registry (docs/first-boot.md)',
  },
  check: { type: 'boolean', default: false, describe: 'Only check the configuration' },
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type FirstBootArguments = GlobalArguments & InferredOptionTypes<typeof options>;

export function firstBootCommand(terminal: Terminal): CommandModule<GlobalArguments, FirstBootArguments> {
  return {
    command: 'first-boot',
    describe: "Find the bundles of this host and load them, each once: a service's work, where nobody can help",
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .options(options)
        .example('$0 first-boot', 'As edge-bundle-first-boot.service does it')
        .example('$0 first-boot --check --config first-boot.yaml', 'Before it goes into an image'),
    handler: (args) => run(args, terminal),
  };
}

async function run({ config: path, check, output, log, quiet }: FirstBootArguments, terminal: Terminal): Promise<void> {
  const { readFirstBootConfig } = await import('../../first-boot/read-config.ts');
  const config = await readFirstBootConfig(path);
  if (check) return;
  const { firstBoot } = await import('../../first-boot/first-boot.ts');
  const { NOTIFY_SOCKET, WATCHDOG_USEC } = terminal.environment;
  // Lines also where somebody looks on: a console keeps them.
  const progress = new LineProgress(terminal.stderr, log);
  const onEvent = (event: FirstBootEvent): void => {
    if (quiet) return;
    if (event.type === 'warning') progress.warn(event.text);
    else progress.note('first-boot', `first-boot: ${event.text}`, { state: event.status.state });
  };
  const status = await firstBoot({
    config,
    environment: { NOTIFY_SOCKET, WATCHDOG_USEC },
    onEvent,
    signal: terminal.signal,
  });
  await writeResult(terminal, output, status, formatFirstBoot);
}
