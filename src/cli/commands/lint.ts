import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { EdgeBundleError } from '../../errors.ts';
import type { LintFinding } from '../../lint/finding.ts';
import type { Measurement } from '../../lint/measure-images.ts';
import type { LintDocument } from '../../report/documents.ts';
import { formatLint } from '../../report/findings.ts';
import type { ResolvedProfiles } from '../../resolve/resolved-profiles.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import { profileOptions, profilesPositional } from '../profile-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { type InputArguments, withResolved } from '../read-inputs.ts';
import { mirrorOptions, registryOptions } from '../registry-options.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';

const options = {
  check: {
    type: 'boolean',
    default: true,
    describe: 'Ask the registries for sizes and architectures',
  },
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type LintArguments = GlobalArguments & InputArguments & InferredOptionTypes<typeof options>;

export function lintCommand(terminal: Terminal): CommandModule<GlobalArguments, LintArguments> {
  return {
    command: 'lint [profiles..]',
    describe: 'Check profiles for what a cluster with a local registry needs',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('profiles', profilesPositional)
        .options({ ...options, ...profileOptions, ...registryOptions, ...mirrorOptions })
        .example('$0 lint store.json --pack-dir packs', 'Check a profile and what its packs run')
        .example('$0 lint store.json --check=false', 'Without a network'),
    handler: (args) => withProgress(terminal, args, (progress) => lint(args, terminal, progress)),
  };
}

async function lint(args: LintArguments, terminal: Terminal, progress: Progress): Promise<void> {
  await withResolved(args, terminal, progress, async ({ resolved }) => {
    const { lintProfiles } = await import('../../lint/lint-profiles.ts');
    const measurement = args.check ? await measure(resolved, args, terminal, progress) : undefined;
    const document = lintDocument(lintProfiles(resolved, measurement), measurement);
    progress.end();
    await writeResult(terminal, args.output, document, formatLint);
    if (document.errors === 0) return;
    throw new EdgeBundleError('PROFILE_INVALID', `the profiles have ${document.errors} errors`, {
      hint: 'Each finding says what to change.',
    });
  });
}

async function measure(
  resolved: ResolvedProfiles,
  args: LintArguments,
  terminal: Terminal,
  progress: Progress,
): Promise<Measurement> {
  const { measureImages } = await import('../../lint/measure-images.ts');
  const { openImageRegistries } = await import('../image-registries.ts');
  const registries = await openImageRegistries(resolved.images, args, terminal, progress);
  try {
    const references = resolved.images.map(({ reference }) => reference);
    return await measureImages(references, registries, { signal: terminal.signal });
  } finally {
    await registries.close();
  }
}

function lintDocument(findings: readonly LintFinding[], measurement: Measurement | undefined): LintDocument {
  const count = (severity: LintFinding['severity']): number =>
    findings.filter((finding) => finding.severity === severity).length;
  return {
    findings: findings.map(({ rule, severity, profile, pack, path, message, change, patch }) => ({
      rule,
      severity,
      profile,
      ...(pack === undefined ? {} : { pack }),
      ...(path === undefined ? {} : { path }),
      message,
      change,
      ...(patch === undefined ? {} : { patch }),
    })),
    errors: count('error'),
    warnings: count('warning'),
    ...(measurement === undefined ? {} : { bytes: measurement.bytes }),
  };
}
