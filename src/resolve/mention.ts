import type { ContentSource } from '../bundle/bundle-document.ts';

/** How sure it is that the cluster asks for an image, the surest first. */
export const imageClasses = ['rendered', 'declared', 'referenced', 'inferred'] as const;

export type ImageClass = ContentSource['class'];

/** An image as a profile, pack or chart writes it, and the place. */
export interface Mention {
  readonly image: string;
  readonly class: ImageClass;
  /** `values#pack.content.images[0]`, `charts/web-1.0.0.tgz#Deployment/web.spec.template.spec.containers[0].image` */
  readonly path: string;
  /** The name of the chart that it comes from. */
  readonly chart?: string | undefined;
  /** How it came about, where it is not written out at `path`. */
  readonly note?: string | undefined;
}

/** A mention with the profile and the pack that it belongs to. */
export interface ImageSource extends ContentSource {
  readonly note?: string | undefined;
}
