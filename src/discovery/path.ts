/** Leads from a text into the document that it holds. */
export const intoText = '#';

/** A way into an object: keys, indexes, and `intoText`. */
export type PathStep = string | number;

/** `['data', 'app.yaml', intoText, 'images', 0]` as `data["app.yaml"]#images[0]`. */
export function formatPath(path: readonly PathStep[]): string {
  let text = '';
  for (const step of path) {
    if (step === intoText) text += intoText;
    else if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === '' || text.endsWith(intoText) ? step : `.${step}`;
  }
  return text;
}
