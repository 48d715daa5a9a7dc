import * as z from 'zod';

/** One thing that was checked before a load. */
export const checkSchema = z.strictObject({
  name: z.enum([
    'architecture',
    'cpus',
    'memory',
    'storage',
    'clock',
    'address',
    'connection',
    'certificate',
    'health',
    'credentials',
    'read-only',
    'project',
    'quota',
    'base',
  ]),
  /** What of several it is about: a bundle, a project. */
  subject: z.string().optional(),
  status: z
    .enum(['pass', 'warn', 'fail', 'skip'])
    .describe('fail: a load would fail; warn: it may, or what is loaded may not run; skip: could not be checked'),
  message: z.string().describe('What was found'),
  hint: z.string().optional().describe('What to do about it'),
});

export type Check = z.infer<typeof checkSchema>;
export type CheckName = Check['name'];
