import { EdgeBundleError } from '../../errors.ts';

/** What a part of a macro stands for. Numbers are Go's int64. */
export type MacroValue = string | bigint | boolean | UnknownValue | readonly MacroValue[];

/** A value that is not known here. */
export interface UnknownValue {
  /** Why. Quotes no values. */
  readonly reason: string;
  readonly hint?: string | undefined;
  /** It is certain that there is no value: then `default` knows what to take. */
  readonly isAbsent?: true | undefined;
  /** The value as far as it is known. */
  readonly partial?: ExpandedText | undefined;
}

/** A text whose macros are replaced, by placeholders where their value is not known. */
export interface ExpandedText {
  readonly text: string;
  /** Each once. */
  readonly missing: readonly MissingMacro[];
}

export interface MissingMacro {
  /** As it is written: `{{ .spectro.var.tag }}`. Of nested macros the innermost, which is the one to give a value to. */
  readonly macro: string;
  readonly reason: string;
  /** What the user can do about it. */
  readonly hint: string | undefined;
  /** What stands in the text in its place. */
  readonly placeholder: string;
}

export function isUnknown(value: MacroValue): value is UnknownValue {
  return typeof value === 'object' && 'reason' in value;
}

/** Ends the evaluation of a macro: MACRO_UNRESOLVED. `reason` quotes no values: they may be passwords. */
export function unresolvable(reason: string, hint?: string): EdgeBundleError {
  return new EdgeBundleError('MACRO_UNRESOLVED', reason, hint === undefined ? {} : { hint });
}
