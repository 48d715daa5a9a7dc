import { EdgeBundleError } from '../errors.ts';

const maxValuesBytes = 64 * 1024 * 1024;
const secretKey = /(password|passwd|passphrase|token|secret|secretkey|privatekey|credentials?)$/i;
const minimumSecretLength = 6;

/**
 * A chart's values as Helm reads them: JSON, which is YAML too.
 *
 * @throws EdgeBundleError RENDER_FAILED where they are no mapping, or too large (anchors may stand for much)
 */
export function encodeValues(values: unknown, what: string): string {
  if (values === undefined || values === null) return '{}';
  if (typeof values !== 'object' || Array.isArray(values)) throw invalid(what, 'its values are not a mapping');
  let bytes = 0;
  const count = (key: string, value: unknown): unknown => {
    bytes += key.length + (typeof value === 'string' ? value.length : 4);
    if (bytes > maxValuesBytes) throw invalid(what, `its values have more than ${maxValuesBytes} bytes`);
    return value;
  };
  let json: string;
  try {
    json = JSON.stringify(values, count);
  } catch (cause) {
    if (cause instanceof EdgeBundleError) throw cause;
    throw invalid(what, 'its values refer to themselves, or are nested too deep', cause);
  }
  // As they are, YAML 1.2 does not allow these ("Character Set"), or takes them for the ends of lines as YAML 1.1 does.
  return json.replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** `text` without the values whose keys say that they are secret: what a chart says of its values may quote them. */
export function hideSecrets(text: string, values: unknown): string {
  let result = text;
  for (const secret of secretsOf(values)) result = result.replaceAll(secret, '[redacted]');
  return result;
}

function* secretsOf(value: unknown, key = ''): Generator<string> {
  if (typeof value === 'string') {
    if (value.length >= minimumSecretLength && secretKey.test(key)) yield value;
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inside] of Object.entries(value)) yield* secretsOf(inside, Array.isArray(value) ? key : name);
  }
}

function invalid(what: string, reason: string, cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('RENDER_FAILED', `${what}: ${reason}`, { cause });
}
