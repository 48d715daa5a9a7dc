import * as z from 'zod';

/**
 * Lists and records of outside data that are given up early: where `z.array` makes a report of each element that is wrong,
 * 4 MB of a hostile manifest took 3 GB and 17 seconds to be refused.
 */
export interface ListOptions {
  /** How many wrong elements are reported. Default: 1. */
  readonly maxWrong?: number | undefined;
}

/** An array, read up to its first wrong elements. */
export function listOf<T>(element: z.ZodType<T>, { maxWrong = 1 }: ListOptions = {}): z.ZodType<T[]> {
  return z
    .custom<readonly unknown[]>((value) => Array.isArray(value), { error: ({ input }) => unexpected('array', input) })
    .transform((values, context) => {
      const reader = new ElementReader(element, context, maxWrong);
      const elements: T[] = [];
      for (const [index, value] of values.entries()) {
        const read = reader.read(value, index);
        if (read !== undefined) elements.push(read.data);
        else if (reader.hasEnough) break;
      }
      return reader.hasFailed ? z.NEVER : elements;
    });
}

/** An object with members of any names, read up to its first wrong members. */
export function recordOf<T>(
  element: z.ZodType<T>,
  { maxWrong = 1 }: ListOptions = {},
): z.ZodType<Readonly<Record<string, T>>> {
  return z
    .custom<object>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
      error: ({ input }) => unexpected('record', input),
    })
    .transform((value, context) => {
      const reader = new ElementReader(element, context, maxWrong);
      const members: [string, T][] = [];
      for (const [name, member] of Object.entries(value)) {
        const read = reader.read(member, name);
        if (read !== undefined) members.push([name, read.data]);
        else if (reader.hasEnough) break;
      }
      return reader.hasFailed ? z.NEVER : Object.fromEntries(members);
    });
}

/** In the words that zod has for it. */
function unexpected(expected: string, input: unknown): string {
  const received = input === null ? 'null' : Array.isArray(input) ? 'array' : typeof input;
  return `Invalid input: expected ${expected}, received ${received}`;
}

class ElementReader<T> {
  readonly #element: z.ZodType<T>;
  readonly #context: z.RefinementCtx;
  readonly #maxWrong: number;
  #wrong = 0;

  constructor(element: z.ZodType<T>, context: z.RefinementCtx, maxWrong: number) {
    this.#element = element;
    this.#context = context;
    this.#maxWrong = maxWrong;
  }

  get hasFailed(): boolean {
    return this.#wrong > 0;
  }

  get hasEnough(): boolean {
    return this.#wrong >= this.#maxWrong;
  }

  read(value: unknown, at: string | number): { readonly data: T } | undefined {
    const { data, error } = this.#element.safeParse(value);
    if (error === undefined) return { data };
    this.#wrong += 1;
    for (const { message, path } of error.issues) {
      this.#context.addIssue({ code: 'custom', message, path: [at, ...path] });
    }
    return undefined;
  }
}
