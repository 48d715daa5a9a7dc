import { describe, expect, it } from 'vitest';

import { comparedTexts } from '../../src/resolve/compared-texts.ts';

const texts = (template: string): readonly string[] => [...comparedTexts([template], ['mode']).texts].sort();

describe('comparedTexts', () => {
  it.each([
    ['a comparison', '{{ if eq .Values.mode "gpu" }}', ['gpu']],
    [
      'several texts, in both kinds of quotes',
      '{{- if (or (eq .Values.mode "a") (ne .Values.mode `b`)) -}}',
      ['a', 'b'],
    ],
    ['numbers', '{{ if gt (int .Values.mode) 3 }}', ['3']],
    ['a variable, which may hold the value', '{{ if eq $m "gpu" }}', ['gpu']],
    ['the dot, which may be the value', '{{ if hasPrefix "gpu-" . }}', ['gpu-']],
    ['a list that a variable keeps', '{{ $all := list "a" "b" }}', ['a', 'b']],
    ['braces in a text', '{{ if eq .Values.mode "a" "}}" }}', ['a']],
  ])('finds the texts of %s', (_name, template, expected) => {
    expect(texts(template)).toEqual(expected);
  });

  it.each([
    ['another value', '{{ if eq .Values.other "gpu" }}'],
    ['a key that only begins so', '{{ if eq .Values.modes "gpu" }}'],
    ['what is only printed', '{{ .Values.mode | default "gpu" | quote }}'],
    ['a field that is called as a function is', '{{ if .Values.mode.eq }}{{ "gpu" }}'],
    ['text outside of actions', 'eq "gpu" mode'],
    ['what YAML would not take for a text', '{{ if eq .Values.mode "a: b" }}'],
  ])('passes over %s', (_name, template) => {
    expect(texts(template)).toEqual([]);
  });

  it('says that any text may matter where the value leads to another one', () => {
    const areEndless = (template: string): boolean => comparedTexts([template], ['mode']).areEndless;
    expect(areEndless('{{ index .Values.images .Values.mode }}')).toBe(true);
    expect(areEndless('{{ get .Values.images .Values.mode }}')).toBe(true);
    expect(areEndless('{{ index .Values.images "a" }}')).toBe(false);
  });
});
