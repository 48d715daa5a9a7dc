/** One thing that was checked, and what is wrong with it. */
export interface JunitCase {
  readonly name: string;
  /** What it belongs to. */
  readonly group: string;
  readonly failures: readonly string[];
}

/** JUnit's XML, as CI servers read it: a test case for each thing that was checked. Names may be anything. */
export function formatJunit(suite: string, cases: readonly JunitCase[]): string {
  const failed = cases.filter(({ failures }) => failures.length > 0).length;
  const counts = `tests="${cases.length}" failures="${failed}" errors="0" skipped="0"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${attribute(suite)}" ${counts}>`,
    ...cases.map(formatCase),
    '  </testsuite>',
    '</testsuites>',
  ].join('\n');
}

function formatCase({ name, group, failures }: JunitCase): string {
  const head = `    <testcase classname="${attribute(group)}" name="${attribute(name)}" time="0"`;
  const [first] = failures;
  if (first === undefined) return `${head}/>`;
  const message = failures.length === 1 ? first : `${failures.length} are missing or damaged`;
  const text = escape(failures.join('\n'));
  return `${head}>\n      <failure message="${attribute(message)}" type="NOT_VERIFIED">${text}</failure>\n    </testcase>`;
}

/** Line breaks too: an attribute's value would lose them. */
function attribute(text: string): string {
  return escape(text).replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Without what XML 1.0 (section 2.2, Char) cannot have at all, not even escaped. */
function escape(text: string): string {
  return text
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\u{FFFD}')
    .replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
