/** `text` without those of `characters` that it ends with. A regular expression takes time that grows with the square of their number. */
export function trimEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
