import type { LintDocument } from './documents.ts';

/** What `lint` tells people: each finding with what to change, the worst first. */
export function formatLint({ findings, errors, warnings }: LintDocument): string {
  const shown = severities.flatMap((severity) => findings.filter((finding) => finding.severity === severity));
  const blocks = shown.map(({ rule, severity, profile, pack, path, message, change, patch }) => {
    const where = [profile, pack, path].filter((part) => part !== undefined).join(' / ');
    const lines = [`${severity}: ${message} [${rule}]`, `  in ${where}`, `  ${change}`];
    if (patch !== undefined)
      lines.push(
        ...patch
          .trimEnd()
          .split('\n')
          .map((line) => `    ${line}`),
      );
    return `${lines.join('\n')}\n`;
  });
  return `${blocks.join('')}${errors} errors, ${warnings} warnings\n`;
}

const severities = ['error', 'warning', 'info'] as const;
