/** Figures over samples. */

/** Value below which a share `p` (0 to 1) of the samples lies, linearly interpolated; NaN for none. */
export function quantile(samples: readonly number[], p: number): number {
  if (samples.length === 0) return NaN;
  const sorted = [...samples].sort((a, b) => a - b);
  const at = p * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!);
}

/** What is kept of samples. `least` is what remains of a figure on a machine that others use as well. */
export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly p10: number;
  readonly p90: number;
  readonly samples: number;
}

/** Median with the tenth and ninetieth percentile. */
export function summarize(samples: readonly number[]): Summary {
  return {
    median: quantile(samples, 0.5),
    least: quantile(samples, 0),
    p10: quantile(samples, 0.1),
    p90: quantile(samples, 0.9),
    samples: samples.length,
  };
}

/** Geometric mean; NaN for none. */
export function geometricMean(values: readonly number[]): number {
  if (values.length === 0) return NaN;
  return Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);
}
