/** What stands on a page of HTML, as well as a reader needs it: tags, styles and scripts are blanks. */
export function withoutMarkup(text: string): string {
  let rest = text;
  for (const name of ['style', 'script', 'head']) {
    // Behind the last end tag there is nothing to look for, however many of them begin there.
    const [closed = ''] = new RegExp(`^.*</${name}>`, 'is').exec(rest) ?? [];
    const element = new RegExp(`<${name}\\b.*?</${name}>`, 'gis');
    rest = closed.replace(element, ' ') + rest.slice(closed.length);
  }
  return rest.replace(/<[^<>]*>/g, ' ');
}
