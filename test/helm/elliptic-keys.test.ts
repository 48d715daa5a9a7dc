import { createPrivateKey, X509Certificate } from 'node:crypto';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { withEllipticKeys } from '../../src/helm/elliptic-keys.ts';
import { renderChart } from '../../src/helm/render-chart.ts';
import { expectError } from '../support/expect-error.ts';
import { makeChart, pinnedHelm } from '../support/helm.ts';
import type { FileTexts } from '../support/tar-archive.ts';

async function render(files: FileTexts, hasEllipticKeys = true): Promise<string> {
  const release = { releaseName: 'release', namespace: 'place', values: {} };
  return (await renderChart(await pinnedHelm(), { ...release, chart: await makeChart(files), hasEllipticKeys })).text;
}

/** The one document that templates render to, whose members are PEM in base64. */
async function pems(files: FileTexts, hasEllipticKeys = true): Promise<Record<string, string>> {
  const decoded = Object.entries(parse(await render(files, hasEllipticKeys)) as Record<string, string>).map(
    ([name, text]) => [name, Buffer.from(text, 'base64').toString('utf8')] as const,
  );
  return Object.fromEntries(decoded);
}

const authority = {
  'templates/_certificates.tpl': [
    '{{- define "app.certificates" -}}',
    '{{- $ca := genCA "the authority" 365 -}}',
    '{{- with genSignedCert "web" (list "10.0.0.1") (list "web.place" "web") 30 $ca }}',
    'ca: {{ $ca.Cert | b64enc }}',
    'cert: {{ .Cert | b64enc }}',
    'key: {{ .Key | b64enc }}',
    '{{- end }}',
    '{{- end }}',
  ].join('\n'),
  'templates/secret.yaml': '{{ include "app.certificates" . }}\n',
};

describe('renderChart with elliptic keys', () => {
  it('makes the certificates that the chart asks for', async () => {
    const { ca = '', cert = '', key = '' } = await pems(authority);
    const [issuer, leaf] = [new X509Certificate(ca), new X509Certificate(cert)];
    expect(issuer).toMatchObject({ subject: 'CN=the authority', ca: true });
    expect(leaf).toMatchObject({ subject: 'CN=web', issuer: 'CN=the authority', ca: false });
    expect(leaf.subjectAltName?.split(', ').sort()).toEqual(['DNS:web', 'DNS:web.place', 'IP Address:10.0.0.1']);
    expect(leaf.verify(issuer.publicKey)).toBe(true);
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(leaf.publicKey.asymmetricKeyType).toBe('ec');
  });

  it('makes RSA keys where that is not asked for', async () => {
    const { key = '' } = await pems(authority, false);
    expect(createPrivateKey(key).asymmetricKeyType).toBe('rsa');
  });

  it.each([
    ['in parentheses', '{{ (genSelfSignedCert "web" nil nil 1).Key | b64enc }}'],
    ['after another assignment', '{{ $made := dict }}{{ $made = genCA "a" 1 }}{{ $made.Key | b64enc }}'],
    ['over several lines', '{{\n  $made := genSelfSignedCert\n  "web"\n  nil nil 1\n}}{{ $made.Key | b64enc }}'],
    [
      'after strings with braces',
      '{{ $x := "}}" }}{{ $y := `}} "` }}{{ $made := genCA "a" 1 }}{{ $made.Key | b64enc }}',
    ],
    ['after a comment with quotes', '{{/* "it`s }} genCA */}}{{ $made := genCA "a" 1 }}{{ $made.Key | b64enc }}'],
    ['after a call that stays', '{{ $a := 1 | genCA "a" }}{{ $made := genCA "b" 1 }}{{ $made.Key | b64enc }}'],
    ['as a key alone', '{{ genPrivateKey "rsa" | b64enc }}'],
    ['in a subchart', undefined],
  ])('finds what makes a key: %s', async (_how, template) => {
    const text = `key: ${template ?? '{{ (genCA "a" 1).Key | b64enc }}'}\n`;
    const files: FileTexts =
      template === undefined
        ? {
            'charts/sub/Chart.yaml': 'apiVersion: v2\nname: sub\nversion: 1.0.0\n',
            'charts/sub/templates/a.yaml': text,
          }
        : { 'templates/a.yaml': text };
    const { key = '' } = await pems(files);
    expect(createPrivateKey(key).asymmetricKeyType).toBe('ec');
  });

  it.each([
    ['text', 'a: $x := genCA "a" 1 (genSignedCert "b") genPrivateKey "rsa"\n'],
    ['strings', '{{ print `= genCA "a" 1` "(genCA 1)" }}\n'],
    ['comments', '{{- /* $ca := genCA "a" 1 */ -}}\n'],
    ['names', '{{ .Values.genCA }}{{ $genCA := 1 }}{{ include "genCA" . }}{{ if .genPrivateKey "rsa" }}\n'],
    ['functions that have a key', '{{ $a := genCAWithKey "a" 1 .Values.key }}{{ $b := buildCustomCert "c" "k" }}\n'],
    ['what gets an argument from a pipe', '{{ 365 | genCA "a" }}\n'],
    ['other keys', '{{ genPrivateKey "ed25519" }}{{ genPrivateKey .Values.kind }}\n'],
    ['an action without an end', 'a: {{ "b" | genCA\n'],
    ['a comment without an end', '{{/* (genCA "a" 1)\n'],
  ])('leaves %s as they are', (_what, template) => {
    expect(withEllipticKeys(template)).toBe(template);
  });

  it("gives Helm's reason for the chart as it is, where it fails", async () => {
    const wrong = {
      'templates/a.yaml': 'a: {{ (genSignedCert "web" (list "no address") nil 1 (genCA "a" 1)).Cert }}\n',
    };
    const error = await expectError('RENDER_FAILED', 'no address', () => render(wrong));
    expect(error.message).toContain('genSignedCert');
    expect(error.message).not.toMatch(/WithKey|PRIVATE KEY/);
  });

  it('renders the chart as it is where it wants RSA keys only', async () => {
    const files = {
      'templates/a.yaml':
        '{{ $key := genPrivateKey "rsa" }}{{ if not (contains "RSA" $key) }}{{ fail "not RSA" }}{{ end }}key: {{ $key | b64enc }}\n',
    };
    const { key = '' } = await pems(files);
    expect(createPrivateKey(key).asymmetricKeyType).toBe('rsa');
  });

  it('takes no longer for what is made to keep it busy', () => {
    const texts = ['{{ ', '{{/* ', '(genCA ', '{{ " ', '{{ `', '= \t ', 'genPrivateKey  '].map((part) =>
      part.repeat(200_000),
    );
    for (const text of [...texts, `{{ genCA ${' '.repeat(1_000_000)}`]) {
      expect(withEllipticKeys(text)).toHaveLength(text.length);
    }
  });
});
