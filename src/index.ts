export {
  type BuildEvent,
  type BuildOptions,
  type BuildResult,
  buildBundle,
  type ImageSource,
  type WantedImage,
} from './build/build-bundle.ts';
export type { BundleBlob, BundleContent, BundleDocument, ContentSource } from './bundle/bundle-document.ts';
export { BundleReader } from './bundle/bundle-reader.ts';
export { type BundleVerification, verifyBundle, type VerifyBundleOptions } from './bundle/verify-bundle.ts';
export { type Descriptor, describe } from './content/descriptor.ts';
export { type Digest, digestOf, isDigest, parseDigest } from './content/digest.ts';
export { collectGraph, type Graph, type GraphOptions, type ManifestNode } from './content/graph.ts';
export { mediaTypes } from './content/media-types.ts';
export type { Platform } from './content/platform.ts';
export type {
  ByteRange,
  ContentStore,
  Fetcher,
  FetchOptions,
  Mounter,
  OperationOptions,
  PushOptions,
  ReadOnlyContentStore,
  Referrers,
  Resolver,
  Resumable,
  Tagger,
} from './content/store.ts';
export { readContent } from './content/verify.ts';
export { Copier, type CopierOptions, type CopyEvent, type CopyGraphOptions, type CopyOutcome } from './copy/copier.ts';
export { EdgeBundleError, type ErrorCode, exitCodes, isEdgeBundleError } from './errors.ts';
export { HarborClient, type HarborClientOptions } from './harbor/harbor-client.ts';
export { loadBundle, type LoadOptions } from './loader/load-bundle.ts';
export type { LoadEvent } from './loader/load-events.ts';
export type { LoadSource, PlannedImage } from './loader/load-plan.ts';
export type { LoadResult } from './loader/load-result.ts';
export { targetRepository } from './loader/target-repository.ts';
export {
  ensureVerified,
  type MissingContent,
  type RegistryTarget,
  type RegistryVerification,
  verifyRegistry,
} from './loader/verify-registry.ts';
export {
  CredentialChain,
  type Credentials,
  type CredentialSource,
  FixedCredentials,
} from './oci-client/credentials.ts';
export { CredentialsFile } from './oci-client/credentials-file.ts';
export { credentialsFromEnvironment, dockerConfigFile } from './oci-client/docker-config.ts';
export { formatReference, parseReference, type Reference } from './oci-client/reference.ts';
export { RegistryClient, type RegistryClientOptions } from './oci-client/registry-client.ts';
export type { Repository } from './oci-client/repository.ts';
export { type ClusterProfile, type Profile, readProfile, type ReferenceList } from './profile/profile.ts';
export type { ProfileDocument } from './profile/profile-document.ts';
export {
  type ResolvedImage,
  type ResolvedImages,
  resolveImages,
  type UnrenderedPack,
} from './profile/resolve-images.ts';
export { type BundledGraph, inspectDocument, readBundleGraphs } from './report/bundle-contents.ts';
export { BundleContent as BundleRegistryContent } from './serve/bundle-content.ts';
export { LayoutContent as LayoutRegistryContent } from './serve/layout-content.ts';
export type { RegistryContent } from './serve/registry-content.ts';
export { type RegistryServer, type RegistryServerOptions, startRegistryServer } from './serve/registry-server.ts';
export { LayoutStore } from './store/layout-store.ts';
export { MemoryStore } from './store/memory-store.ts';
