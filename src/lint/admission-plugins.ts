import { parseYaml } from '../profile/yaml-text.ts';

const plugin = 'AlwaysPullImages';
const enabling = 'enable-admission-plugins';
const disabling = 'disable-admission-plugins';

/**
 * Every place in a Kubernetes layer's values that enables the AlwaysPullImages admission plugin, as a path. Distributions
 * keep the API server's arguments in different places and forms: a list of `flag=value`, a mapping of flags, a list of
 * `{name, value}`, a command line, and each of these in a text that is YAML itself.
 */
export function findAlwaysPullImages(values: unknown): string[] {
  const found: string[] = [];
  visit(values, '', false, found);
  return found;
}

/** @param isDisabling whether `value` belongs to a flag or a member that switches plugins off */
function visit(value: unknown, path: string, isDisabling: boolean, found: string[]): void {
  if (typeof value === 'string') {
    if (isDisabling || !value.includes(plugin)) return;
    const inside = value.includes('\n') ? parseYaml(value, path).documents : [];
    if (inside.some((document) => typeof document === 'object')) {
      for (const document of inside) visit(document, `${path}#`, false, found);
    } else if (value.split('\n').some((line) => enablesPlugin(line))) found.push(path);
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) visit(item, `${path}[${index}]`, isDisabling, found);
  } else if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value);
    const isDisablingFlag = members.some(
      ([key, name]) => key === 'name' && typeof name === 'string' && name.includes(disabling),
    );
    for (const [key, member] of members) {
      const place = path === '' || path.endsWith('#') ? `${path}${key}` : `${path}.${key}`;
      visit(member, place, isDisabling || isDisablingFlag || key.includes(disabling), found);
    }
  }
}

function enablesPlugin(line: string): boolean {
  return line
    .replace(/(^|\s)#.*$/, '')
    .split(/\s+/)
    .some((word) => word.split(/[=,"']/).includes(plugin) && (word.includes(enabling) || !word.includes(disabling)));
}
