import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { MissingContent } from '../../loader/verify-registry.ts';
import { formatJunit } from '../../report/junit.ts';
import { formatVerify } from '../../report/summaries.ts';
import { countOf } from '../../report/units.ts';
import { bundleArgument, contentBytes, withBundle } from '../bundle-argument.ts';
import { checkParts, checkPartsOptions } from '../check-parts.ts';
import { checksOutputOption, type GlobalArguments } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { type RegistryArguments, registryOptions } from '../registry-options.ts';
import { withRegistry } from '../registry-session.ts';
import { parseTarget, type RegistryTarget, type TargetArguments, targetOptions } from '../registry-target.ts';
import { writeResult } from '../result.ts';
import { type Terminal, writeText } from '../terminal.ts';
import { type TrustArguments, trustOptions } from '../trust-options.ts';
import { transferDocument } from '../transfer-document.ts';

const options = {
  deep: { type: 'boolean', default: false, describe: 'Read manifests and blobs back from the registry, and hash them' },
  ...checkPartsOptions,
  output: checksOutputOption,
} as const satisfies Readonly<Record<string, Options>>;

type VerifyArguments = GlobalArguments &
  RegistryArguments &
  TargetArguments &
  TrustArguments &
  InferredOptionTypes<typeof options> & { readonly bundle: string };

export function verifyCommand(terminal: Terminal): CommandModule<GlobalArguments, VerifyArguments> {
  return {
    command: 'verify <bundle>',
    describe: 'Check every byte of a bundle, or that a registry has all of its content',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundle', bundleArgument)
        .options({ ...options, ...targetOptions, ...trustOptions, ...registryOptions })
        .example('$0 verify bundles/content-1f', 'Read the whole bundle and check every digest')
        .example('$0 verify store.tar.zst --harbor https://10.0.0.5:30003', 'Ask a Harbor for all that it should have'),
    handler: (args) =>
      withProgress(terminal, args, async (progress) => {
        const target = parseTarget(args);
        if (target === undefined) await verifyFile(args, terminal, progress);
        else await verifyTarget(args, target, terminal, progress);
      }),
  };
}

async function verifyFile(args: VerifyArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { verifyBundle } = await import('../../bundle/verify-bundle.ts');
  const { combineFailures } = await import('../../errors.ts');
  const { baseDocument } = await import('../../report/bundle-contents.ts');
  await checkParts(args, terminal, progress);
  const { images, charts, blobs, base, failures } = await withBundle(args.bundle, args, (bundle) => {
    progress.expect(contentBytes(bundle));
    return verifyBundle(bundle, { signal: terminal.signal, onProgress: (bytes) => progress.advance(bytes) });
  });
  progress.end();
  if (args.output === 'junit') {
    const cases = [{ name: args.bundle, group: 'bundle', failures: failures.map(({ message }) => message) }];
    await writeText(terminal.stdout, `${formatJunit('edge-bundle verify', cases)}\n`);
  }
  if (failures.length > 0) {
    const message = `the bundle '${args.bundle}' is not as it was built: ${countOf(failures.length, 'problem')}`;
    throw combineFailures('NOT_VERIFIED', message, failures);
  }
  if (args.output === 'junit') return;
  const document = {
    ...{ images, charts, blobs: { uploaded: 0, mounted: 0, present: blobs }, missing: [] },
    ...(base === undefined ? {} : { base: baseDocument(base) }),
  };
  await writeResult(terminal, args.output, document, formatVerify);
}

async function verifyTarget(
  args: VerifyArguments,
  target: RegistryTarget,
  terminal: Terminal,
  progress: Progress,
): Promise<void> {
  const { describeMissing, ensureVerified, verifyRegistry } = await import('../../loader/verify-registry.ts');
  const { project, 'packs-project': packsProject } = args;
  const { signal } = terminal;
  const { images, charts, planned, asked, missing } = await withBundle(args.bundle, args, (bundle) =>
    withRegistry(args, target, { terminal, progress }, ({ client, registry, harbor }) => {
      if (args.deep) progress.expect(contentBytes(bundle));
      const onProgress = (bytes: number): void => progress.advance(bytes);
      return verifyRegistry({
        bundle,
        client,
        registry,
        harbor,
        project,
        packsProject,
        deep: args.deep,
        onProgress,
        signal,
      });
    }),
  );
  progress.end();
  if (args.output === 'junit') {
    const cases = planned.map(({ references, repository }) => ({
      name: references.join(', '),
      group: repository,
      failures: missing.filter((each) => isAbout(each, repository, references)).map(describeMissing),
    }));
    await writeText(terminal.stdout, `${formatJunit(`edge-bundle verify ${target.registry}`, cases)}\n`);
    ensureVerified({ missing }, target.registry);
    return;
  }
  const missingBlobs = missing.filter(({ kind }) => kind === 'blob').length;
  const document = transferDocument({
    images,
    charts,
    blobs: { uploaded: 0, mounted: 0, present: asked.blobs - missingBlobs },
    missing,
  });
  await writeResult(terminal, args.output, document, formatVerify);
  ensureVerified({ missing }, target.registry);
}

function isAbout(missing: MissingContent, repository: string, references: readonly string[]): boolean {
  return missing.repository === repository && references.some((reference) => missing.references.includes(reference));
}
