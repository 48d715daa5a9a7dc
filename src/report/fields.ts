/** Names and values, one a line, the values below each other. Ends with a newline. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(0, ...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}   ${value}\n`).join('');
}
