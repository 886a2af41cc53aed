/** WebGPU in Node for every subject: Dawn as `navigator.gpu`, as a browser would have it. */

/** Dawn's switches: timestamps are exact, and no feature is held back. */
const TOGGLES = ["disable-dawn-features=timestamp_quantization", "enable-dawn-features=allow_unsafe_apis"];

let provided: GPU | null = null;

/** Makes `navigator.gpu` and the GPU's constants global. */
export async function provideGpu(): Promise<GPU> {
  if (provided !== null) return provided;
  // The name is no literal, so that the bundled benchmark finds the package where it runs.
  const name = process.env["TAPEGRAD_DAWN"] ?? ["web", "gpu"].join("");
  const { create, globals } = (await import(name)) as { create(options: string[]): GPU; globals: object };
  Object.assign(globalThis, globals);
  provided = create(TOGGLES);
  Object.defineProperty(globalThis.navigator, "gpu", { value: provided, configurable: true });
  return provided;
}
