import type { FoundImage } from './found-image.ts';
import { isFullReference, isTaggedImage } from './image-name.ts';
import { imageKey } from './key-words.ts';
import { findReferences } from './text-references.ts';

/**
 * The images that stand written out in a template that cannot be rendered: all `referenced`, with the line as the path.
 * What the template makes of values is not seen; a name of a single word counts only in quotes.
 */
export function findImagesInTemplate(text: string): FoundImage[] {
  return text.split('\n').flatMap((line, index) =>
    [...findReferences(`${line}\n`, false), ...defaultsIn(line)].map((image): FoundImage => ({
      image,
      class: 'referenced',
      path: `line ${index + 1}`,
    })),
  );
}

/** `image: {{ .Values.image | default "org/app:1" }}`: full references are found anywhere, short names only under such a key. */
function defaultsIn(line: string): string[] {
  const [, key = '', rest = ''] = /^\s*(?:- +)?["']?([\w./-]+)["']?\s*:(.*\{\{.*)$/.exec(line.slice(0, 2_000)) ?? [];
  if (imageKey(key) !== 'name') return [];
  const texts = [...rest.matchAll(/["`]([^"`\s]+)["`]/g)].map(([, text = '']) => text);
  return texts.filter((text) => isTaggedImage(text) && !isFullReference(text));
}
