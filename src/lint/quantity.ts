const multipliers: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
  Pi: 1024 ** 5,
  Ei: 1024 ** 6,
};

/** A Kubernetes quantity of storage in bytes (`20Gi`, `1.5G`, `1e9`); undefined where it is none. */
export function quantityBytes(value: unknown): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const { number, suffix } =
    /^(?<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+]?[0-9]{1,2})?)(?<suffix>[A-Za-z]{0,2})$/.exec(String(value))?.groups ?? {};
  const multiplier = multipliers[suffix ?? ''];
  return number === undefined || multiplier === undefined ? undefined : Number(number) * multiplier;
}

/** Bytes as a quantity that a person would write: `24Gi`. Rounded up. */
export function formatQuantity(bytes: number): string {
  return `${Math.max(1, Math.ceil(bytes / 1024 ** 3))}Gi`;
}
