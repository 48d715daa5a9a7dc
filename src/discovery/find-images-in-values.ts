import { surroundingsOf } from './compose-images.ts';
import type { FoundImage } from './found-image.ts';
import { ImageFinder } from './image-finder.ts';
import { isPlainObject } from './plain-object.ts';

export interface FindInValuesOptions {
  /** The chart's: many charts take it where the values have no tag. */
  readonly appVersion?: string | undefined;
}

/**
 * The images that a chart's merged values name, where the chart cannot be rendered: all `referenced`. Which of them the
 * templates use is not known, and those that only the templates name are missing. What is `enabled: false` is left out.
 */
export function findImagesInValues(values: unknown, { appVersion }: FindInValuesOptions = {}): FoundImage[] {
  const finder = new ImageFinder({ areValues: true, appVersion });
  const common = isPlainObject(values) && isPlainObject(values.global) ? values.global : {};
  const { imageRegistry } = common;
  const globalRegistry = typeof imageRegistry === 'string' && imageRegistry !== '' ? imageRegistry : undefined;
  finder.visit('', values, { ...surroundingsOf('', common, {}), globalRegistry });
  return finder.found;
}
