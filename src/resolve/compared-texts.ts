/** A template action, with the strings in it, in which braces may stand. */
const actionPattern = /\{\{(?:[^"`}]|"(?:[^"\\\n]|\\.)*"|`[^`]*`|\}(?!\}))*\}\}/g;
const literalPattern = /"((?:[^"\\\n]|\\.)*)"|`([^`]*)`|(?<![\w.$-])(-?\d+)(?![\w.])/g;
const comparing =
  /(?<![.$\w])(?:eq|ne|lt|le|gt|ge|has|contains|hasPrefix|hasSuffix|regexMatch|mustRegexMatch|list|tuple|dict|set|ternary|splitList)\b/;
const lookingUp = /(?<![.$\w])(?:index|get|pluck|dig|hasKey)\b/;
/** What can stand anywhere in YAML without quotes, and keeps it YAML. */
const plainText = /^[\w./-]{1,64}$/;

/** What templates may compare the values of `keys` with. */
export interface ComparedTexts {
  /** In no order. */
  readonly texts: readonly string[];
  /** Whether the value of a key leads to another value: then any text may matter. */
  readonly areEndless: boolean;
}

/**
 * The texts that Go templates compare the values under `keys` with, or something that may come from them: what stands
 * in a variable, or is the dot. It reads the text only, so there are too many of them rather than too few.
 */
export function comparedTexts(templates: readonly string[], keys: readonly string[]): ComparedTexts {
  const texts = new Set<string>();
  let areEndless = false;
  for (const template of templates) {
    for (const [action] of template.matchAll(actionPattern)) {
      const isNamed = keys.some((key) => namesKey(action, key));
      if (isNamed && lookingUp.test(action)) areEndless = true;
      if (!comparing.test(action) || (!isNamed && action.includes('.Values.'))) continue;
      for (const [, quoted, raw, number] of action.matchAll(literalPattern)) {
        const text = quoted ?? raw ?? number ?? '';
        if (plainText.test(text)) texts.add(text);
      }
    }
  }
  return { texts: [...texts], areEndless };
}

function namesKey(action: string, key: string): boolean {
  const at = action.indexOf(key);
  return at > 0 && /[."]/.test(action[at - 1] ?? '') && !/\w/.test(action[at + key.length] ?? '');
}
