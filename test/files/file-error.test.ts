import { describe, expect, it } from 'vitest';

import { EdgeBundleError } from '../../src/errors.ts';
import { fileError } from '../../src/files/file-error.ts';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: something, open '/x'`), { code });
}

describe('fileError', () => {
  it.each(['ENOSPC', 'EDQUOT'])('says NO_SPACE for %s', (code) => {
    const cause = systemError(code);
    expect(fileError(cause, "cannot write '/x'")).toMatchObject({
      code: 'NO_SPACE',
      message: "cannot write '/x': no space left on the device",
      cause,
    });
  });

  it.each(['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'EISDIR', 'ENOTDIR', 'EMFILE'])('has a hint for %s', (code) => {
    expect(fileError(systemError(code), 'cannot')).toMatchObject({
      code: 'FILE_FAILED',
      hint: expect.stringMatching(/\.$/) as string,
    });
  });

  it('says what happened where it knows no more', () => {
    const error = fileError(systemError('ENXIO'), "cannot read '/x'");
    expect(error.code).toBe('FILE_FAILED');
    expect(error.message).toBe("cannot read '/x': ENXIO: something, open '/x'");
    expect(error.hint).toBeUndefined();
    expect(fileError('a text', 'cannot').message).toBe('cannot: a text');
  });

  it('leaves an error as it is that is one of this project already', () => {
    const error = new EdgeBundleError('LOCKED', 'held');
    expect(fileError(error, 'cannot')).toBe(error);
  });
});
