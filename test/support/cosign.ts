import { blob, type Content, image } from './graphs.ts';

/** A signature as cosign lays it out under a tag ("Signature spec"): the payload is a layer, its annotation signs it. */
export function cosignSignature({ descriptor }: Content): Content {
  const payload = JSON.stringify({
    critical: {
      identity: { 'docker-reference': '' },
      image: { 'docker-manifest-digest': descriptor.digest },
      type: 'cosign container image signature',
    },
    optional: null,
  });
  return image([blob(payload, 'application/vnd.dev.cosign.simplesigning.v1+json')], {
    annotations: { 'dev.cosignproject.cosign/signature': Buffer.from(descriptor.digest).toString('base64') },
  });
}

/** The tag that cosign gives to what belongs to `content`. */
export function cosignTag({ descriptor }: Content, suffix: 'sig' | 'att' | 'sbom'): string {
  return `${descriptor.digest.replace(':', '-')}.${suffix}`;
}
