export type { Artifact, ArtifactKind } from './artifact/artifact.ts';
export { chartArtifact, type ChartArchive } from './artifact/chart-artifact.ts';
export { fileArtifact, type FileArtifact } from './artifact/file-artifact.ts';
export { packArtifact, type PackArchive } from './artifact/pack-artifact.ts';
export {
  type BaseUse,
  type BuildEvent,
  type BuildOptions,
  type BuildResult,
  buildBundle,
} from './build/build-bundle.ts';
export type { EarlierBundle } from './build/local-content.ts';
export type { ImageSelection } from './build/prepare-image.ts';
export type { ImageSource, WantedChart, WantedFile, WantedImage } from './build/wanted-content.ts';
export type {
  BundleAttachment,
  BundleBase,
  BundleBlob,
  BundleChart,
  BundleContent,
  BundleDocument,
  BundleFile,
  ContentSource,
} from './bundle/bundle-document.ts';
export { BundleReader, type OpenBundleOptions } from './bundle/bundle-reader.ts';
export { decodePartList, encodePartList, type ListedPart, type PartList } from './bundle/part-list.ts';
export type { BundleTrust } from './bundle/read-head.ts';
export type { BundleSignature, SignatureAlgorithm } from './bundle/signature-file.ts';
export { type BaseBundle } from './bundle/bundle-base.ts';
export { type ExtractedFile, extractFiles, type ExtractOptions } from './bundle/extract-files.ts';
export { type BundleOutline, readBundleDocument } from './bundle/read-document.ts';
export { type BundleVerification, verifyBundle, type VerifyBundleOptions } from './bundle/verify-bundle.ts';
export { type PartsVerification, verifyParts, type VerifyPartsOptions } from './bundle/verify-parts.ts';
export { installerPartBytes, writeParts, type WritePartsOptions, type WrittenParts } from './bundle/write-parts.ts';
export { type Descriptor, describe } from './content/descriptor.ts';
export { type Digest, digestOf, isDigest, parseDigest } from './content/digest.ts';
export { collectGraph, type Graph, type GraphOptions, type ManifestNode } from './content/graph.ts';
export { mediaTypes } from './content/media-types.ts';
export type { Platform } from './content/platform.ts';
export { parsePlatform } from './content/platform-match.ts';
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
export type { ChainedBundle } from './delta/bundle-chain.ts';
export {
  type BlobTotal,
  type BundleDifference,
  compareBundles,
  type ContentDifference,
} from './delta/compare-bundles.ts';
export { mergeBundles, type MergeEvent, type MergeOptions, type MergeResult } from './delta/merge-bundles.ts';
export { EdgeBundleError, type ErrorCode, exitCodes, isEdgeBundleError } from './errors.ts';
export { fetchAuthority, type FetchAuthorityOptions } from './harbor/fetch-authority.ts';
export type { FirstBootConfig } from './first-boot/config-schema.ts';
export { firstBoot, type FirstBootOptions } from './first-boot/first-boot.ts';
export { readFirstBootConfig } from './first-boot/read-config.ts';
export type { FirstBootEvent } from './first-boot/reporter.ts';
export { HarborClient, type HarborClientOptions } from './harbor/harbor-client.ts';
export { waitForHarbor } from './harbor/wait-for-harbor.ts';
export { HelmFinder } from './helm/helm-finder.ts';
export { findHelm, type FindHelmOptions, type HelmProgram } from './helm/helm-program.ts';
export { createIso, type CreateIsoOptions } from './iso/create-iso.ts';
export { embedIso, type EmbedIsoOptions } from './iso/embed-iso.ts';
export { inspectIso, type InspectIsoOptions, type IsoInspection } from './iso/inspect-iso.ts';
export type { MadeIso, MakeIsoOptions } from './iso/make-iso.ts';
export { Xorriso } from './iso/xorriso.ts';
export type { LintFinding, LintRule } from './lint/finding.ts';
export { lintProfiles } from './lint/lint-profiles.ts';
export { type Measurement, measureImages } from './lint/measure-images.ts';
export { loadBundle } from './loader/load-bundle.ts';
export type { LoadEvent } from './loader/load-events.ts';
export type { LoadOptions, ProjectHost } from './loader/load-options.ts';
export type { ProjectSettings } from './loader/project-settings.ts';
export type { LoadSource, PlannedImage } from './loader/load-plan.ts';
export type { LoadResult } from './loader/load-result.ts';
export { targetRepository } from './loader/target-repository.ts';
export {
  ensureVerified,
  type MissingContent,
  type RegistryTarget,
  type RegistryVerification,
  verifyRegistry,
  type VerifyRegistryOptions,
} from './loader/verify-registry.ts';
export { loadedMirror, type Mirror, type MirrorOptions, servedMirror } from './mirror-config/mirror.ts';
export {
  mirrorConfig,
  type MirrorConfig,
  type MirrorConfigOptions,
  type MirrorFormat,
} from './mirror-config/mirror-config.ts';
export { writeMirrorConfig } from './mirror-config/write-mirror-config.ts';
export { type LeftOutImage, leftOutFile, parseLeftOut, readLeftOut } from './bundle/left-out.ts';
export {
  CredentialChain,
  type Credentials,
  type CredentialSource,
  FixedCredentials,
} from './oci-client/credentials.ts';
export { CredentialsFile } from './oci-client/credentials-file.ts';
export { credentialsFromEnvironment, dockerConfigFile } from './oci-client/docker-config.ts';
export type { Route, RouteSource } from './oci-client/endpoint.ts';
export { type HostAddress, parseHostAddress } from './oci-client/host-addresses.ts';
export { HostsDirectory } from './oci-client/hosts-directory.ts';
export { login, type LoginOptions, type LoginPlace, logout } from './oci-client/login.ts';
export { type MappingRule, mapRepository, parseMappingRule, parseMappingRules } from './oci-client/mapping-rules.ts';
export { proxiesFromEnvironment } from './oci-client/proxies.ts';
export { formatReference, parseReference, type Reference } from './oci-client/reference.ts';
export { RegistriesConf } from './oci-client/registries-conf.ts';
export { RegistryClient, type RegistryClientOptions } from './oci-client/registry-client.ts';
export type { Repository } from './oci-client/repository.ts';
export type { ServedByHost } from './oci-client/served.ts';
export type { WaitEvent, WaitOptions } from './oci-client/wait-for.ts';
export { ComponentCache, type ComponentCacheOptions } from './packaging/component-cache.ts';
export { type LoaderArchitecture, loaderArchitectures } from './packaging/components.ts';
export { type LoaderPackage, packageLoader, type PackageLoaderOptions } from './packaging/package-loader.ts';
export { fetchProfiles, type FetchProfilesOptions } from './palette/fetch-profiles.ts';
export type { PaletteClientOptions } from './palette/palette-client.ts';
export { saveProfile } from './palette/save-profile.ts';
export {
  type ClusterProfile,
  type ManifestSet,
  type PackageInput,
  type Profile,
  readProfile,
  type ReferenceList,
} from './profile/profile.ts';
export { preflight, type PreflightOptions } from './preflight/preflight.ts';
export type { ProfileDocument } from './profile/profile-document.ts';
export { PackFolder } from './profile/packs/pack-folder.ts';
export { PackRegistry } from './profile/packs/pack-registry.ts';
export type { FirstBootStatus } from './report/first-boot-status.ts';
export type { Check } from './report/preflight-check.ts';
export { type BundledGraph, inspectDocument, readBundleGraphs } from './report/bundle-contents.ts';
export { checkImages, type CheckedImages, type ImageRegistries, type MissingImage } from './resolve/check-images.ts';
export type { NamedImage } from './resolve/image-set.ts';
export { type Lock, type MovedReference, readLock, writeLock } from './resolve/lock-file.ts';
export { lockImages, type LockedImages } from './resolve/lock-images.ts';
export { Packages, type PackagesOptions } from './resolve/packages.ts';
export { resolveProfiles, type ResolveProfilesOptions } from './resolve/resolve-profiles.ts';
export type {
  ExcludedImage,
  ResolvedChart,
  ResolvedInput,
  ResolvedLayer,
  ResolvedProfiles,
  Unrendered,
} from './resolve/resolved-profiles.ts';
export { BundleContent as BundleRegistryContent } from './serve/bundle-content.ts';
export { Htpasswd } from './serve/htpasswd.ts';
export { LayoutContent as LayoutRegistryContent } from './serve/layout-content.ts';
export type { RegistryContent } from './serve/registry-content.ts';
export { type RegistryServer, type RegistryServerOptions, startRegistryServer } from './serve/registry-server.ts';
export { BlobCache, type BlobCacheOptions, type CachedBlob, type PruneOptions } from './store/blob-cache.ts';
export { LayoutStore } from './store/layout-store.ts';
export { MemoryStore } from './store/memory-store.ts';
export { type PublicKey } from './trust/public-key.ts';
export { type KeyText, readPublicKeys } from './trust/read-public-keys.ts';
export { type SignBundleOptions, type SignedBundleResult, signBundle } from './trust/sign-bundle.ts';
export { detachedSigner, readSigner, type Signer } from './trust/signer.ts';
export { ensureSigned, type SignedBundle, trustOf, type TrustPolicy } from './trust/trust-policy.ts';
