const plugin = 'AlwaysPullImages';
const enabling = 'enable-admission-plugins';
const disabling = 'disable-admission-plugins';

/**
 * Every place in a Kubernetes layer's values that enables the AlwaysPullImages admission plugin, as a path. Distributions
 * keep the API server's arguments in different places and forms: a list of `flag=value`, a mapping of flags, a list of
 * `{name, value}`, a command line.
 */
export function findAlwaysPullImages(values: unknown): string[] {
  const found: string[] = [];
  visit(values, '', false, found);
  return found;
}

/** @param isDisabling whether `value` belongs to a flag or a member that switches plugins off */
function visit(value: unknown, path: string, isDisabling: boolean, found: string[]): void {
  if (typeof value === 'string') {
    if (!isDisabling && enablesPlugin(value)) found.push(path);
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) visit(item, `${path}[${index}]`, isDisabling, found);
  } else if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value);
    const isDisablingFlag = members.some(
      ([key, name]) => key === 'name' && typeof name === 'string' && name.includes(disabling),
    );
    for (const [key, member] of members) {
      const place = path === '' ? key : `${path}.${key}`;
      visit(member, place, isDisabling || isDisablingFlag || key.includes(disabling), found);
    }
  }
}

function enablesPlugin(text: string): boolean {
  return text
    .split(/\s+/)
    .some((word) => word.split(/[=,"']/).includes(plugin) && (word.includes(enabling) || !word.includes(disabling)));
}
