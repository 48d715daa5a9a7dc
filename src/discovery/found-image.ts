/** An image that an object names, and the place in it. */
export interface FoundImage {
  /** As it is written, or composed of what is written. */
  readonly image: string;
  /**
   * `rendered`: a container or an image volume of a pod's specification. `referenced`: written somewhere else.
   * `inferred`: not written as such; it follows from a version, or lacks its tag. It may be wrong.
   */
  readonly class: 'rendered' | 'referenced' | 'inferred';
  /** `spec.template.spec.containers[0].image`; in a document inside a text: `data["app.yaml"]#sidecar.image`. */
  readonly path: string;
  /** How it came about, where it is not written out at `path`. */
  readonly note?: string;
}
