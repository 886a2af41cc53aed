/** Reproducible data for workloads: fast enough for tens of millions of elements, the same in every engine. */

/** Elements on the host, as every subject takes them. */
export type HostArray = Float32Array | Int32Array;

/** How the elements of an input are drawn. */
export type Distribution =
  | { readonly kind: "normal"; readonly scale?: number }
  | { readonly kind: "uniform" }
  | { readonly kind: "index"; readonly below: number };

const TABLE_SIZE = 1 << 16;

/** A stream of unsigned 32-bit words (Marsaglia's xorshift, period 2^32 - 1). */
export function words(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}

/** Quantiles of the normal distribution by Box and Muller, from which normal elements are drawn. */
const normalTable = ((): Float32Array => {
  const next = words(1);
  const table = new Float32Array(TABLE_SIZE);
  for (let i = 0; i < TABLE_SIZE; i += 2) {
    const radius = Math.sqrt(-2 * Math.log((next() + 1) / 4294967297));
    const angle = (2 * Math.PI * next()) / 4294967296;
    table[i] = radius * Math.cos(angle);
    table[i + 1] = radius * Math.sin(angle);
  }
  return table;
})();

/** `count` elements of a distribution; the same seed gives the same elements. */
export function draw(distribution: Distribution, count: number, seed: number): HostArray {
  const next = words(seed);
  if (distribution.kind === "index") {
    const result = new Int32Array(count);
    for (let i = 0; i < count; i++) result[i] = next() % distribution.below;
    return result;
  }
  const result = new Float32Array(count);
  if (distribution.kind === "uniform") for (let i = 0; i < count; i++) result[i] = next() / 4294967296;
  else {
    const scale = distribution.scale ?? 1;
    for (let i = 0; i < count; i++) result[i] = scale * normalTable[next() & (TABLE_SIZE - 1)]!;
  }
  return result;
}
