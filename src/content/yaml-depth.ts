const maxDepth = 128;

/**
 * Whether YAML or JSON opens more brackets than anything real does: parsers take time that grows with
 * the third power of the depth, and then the stack. Brackets in texts and comments count too; real ones close.
 */
export function isNestedTooDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    // [ and {, ] and }
    if (code === 0x5b || code === 0x7b) depth += 1;
    else if (code === 0x5d || code === 0x7d) depth = Math.max(0, depth - 1);
    if (depth > maxDepth) return true;
  }
  return false;
}
