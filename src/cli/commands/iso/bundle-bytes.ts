/** Of all bundles together: what an ISO with them mostly has. */
export async function bundleBytes(paths: readonly string[]): Promise<number> {
  const { BundleReader } = await import('../../../bundle/bundle-reader.ts');
  let bytes = 0;
  for (const path of paths) {
    const bundle = await BundleReader.open(path);
    bytes += bundle.bytes;
    await bundle.close();
  }
  return bytes;
}
