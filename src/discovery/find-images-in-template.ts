import type { FoundImage } from './found-image.ts';
import { findReferences } from './text-references.ts';

/**
 * The images that stand written out in a template that cannot be rendered: all `referenced`, with the line as the path.
 * What the template makes of values is not seen; a name of a single word counts only in quotes.
 */
export function findImagesInTemplate(text: string): FoundImage[] {
  return text.split('\n').flatMap((line, index) =>
    findReferences(`${line}\n`, false).map((image): FoundImage => ({
      image,
      class: 'referenced',
      path: `line ${index + 1}`,
    })),
  );
}
