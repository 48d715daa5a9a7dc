/** Tells of a path in a chart's folder (`templates/a.yaml`) whether a package of the chart leaves it out. */
export type IgnoreRule = (path: string, isFolder: boolean) => boolean;

/**
 * The rules of a `.helmignore`, with the one that Helm always has. As Helm reads it: a name matches in any folder, with a
 * slash in it the whole path; a slash at the end means folders; `!` leaves out all that does not match.
 */
export function helmIgnore(text: string): IgnoreRule {
  const rules = [...text.split('\n'), 'templates/.?*'].flatMap((line) => parseRule(line.trim()));
  return (path, isFolder) => rules.some((rule) => rule(path, isFolder));
}

function parseRule(line: string): IgnoreRule[] {
  if (line === '' || line.startsWith('#')) return [];
  const isNegated = line.startsWith('!');
  const pattern = isNegated ? line.slice(1) : line;
  const needsFolder = pattern.endsWith('/');
  const glob = needsFolder ? pattern.slice(0, -1) : pattern;
  const expression = globExpression(glob.replace(/^\//, ''));
  const isPath = glob.includes('/');
  const matches = (path: string): boolean => expression.test(isPath ? path : path.slice(path.lastIndexOf('/') + 1));
  if (isNegated) return [(path, isFolder) => (needsFolder && !isFolder) || !matches(path)];
  return [(path, isFolder) => (isFolder || !needsFolder) && matches(path)];
}

/** Go's `path/filepath.Match`: `*` and `?` stay within one part of the path. */
function globExpression(glob: string): RegExp {
  const tokens = glob.match(/\\.|\[(\\.|[^\]\\])+\]|[^]/g) ?? [];
  const parts = tokens.map((token) => {
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.length > 2) return token;
    return (token.length === 2 ? token.slice(1) : token).replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
  });
  return new RegExp(`^${parts.join('').replace(/(\[\^\/\]\*)+/g, '[^/]*')}$`);
}
