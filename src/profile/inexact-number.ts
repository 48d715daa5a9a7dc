/** Stands for a number that is not printed as it is written, such as `1.10` or `0x1f`. */
export const inexactNumber = Symbol('a number that is not printed as it is written');
