/** What this machine can do at best, measured in the same run: copying memory, and multiply-adds in registers. */

/** Bytes a second (read and written) and operations a second. */
export interface Ceiling {
  readonly copy: number;
  readonly flops: number;
  readonly how: string;
}

function best(run: () => void, times: number): number {
  let fastest = Infinity;
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    run();
    fastest = Math.min(fastest, (performance.now() - start) / 1e3);
  }
  return fastest;
}

const ACCUMULATORS = 12;

function unsigned(value: number): number[] {
  const result: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    result.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  result.push(rest);
  return result;
}

/** A WebAssembly module whose `run(n)` does `n` rounds of independent vector multiply-adds that never leave registers. */
function multiplyAddModule(relaxed: boolean): Uint8Array<ArrayBuffer> {
  const get = (local: number): number[] => [0x20, local];
  const set = (local: number): number[] => [0x21, local];
  const vector = 1 + ACCUMULATORS;
  const body: number[] = [...get(0), 0xb2, 0xfd, 0x13, ...set(vector)]; // f32.convert_i32_s, f32x4.splat
  body.push(0x03, 0x40); // loop
  for (let i = 1; i <= ACCUMULATORS; i++) {
    if (relaxed) body.push(...get(vector), ...get(vector), ...get(i), 0xfd, 0x85, 0x02);
    else body.push(...get(vector), ...get(vector), 0xfd, 0xe6, 0x01, ...get(i), 0xfd, 0xe4, 0x01);
    body.push(...set(i));
  }
  body.push(...get(0), 0x41, 0x01, 0x6b, 0x22, 0, 0x0d, 0x00, 0x0b); // n - 1, loop while not zero
  body.push(...get(1));
  for (let i = 2; i <= ACCUMULATORS; i++) body.push(...get(i), 0xfd, 0xe4, 0x01);
  body.push(0xfd, 0x1f, 0x00, 0x0b); // f32x4.extract_lane 0
  const code = [0x01, ...unsigned(vector), 0x7b, ...body];
  const section = (id: number, content: number[]): number[] => [id, ...unsigned(content.length), ...content];
  return Uint8Array.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    0x01,
    0x00,
    0x00,
    0x00,
    ...section(1, [0x01, 0x60, 0x01, 0x7f, 0x01, 0x7d]),
    ...section(3, [0x01, 0x00]),
    ...section(7, [0x01, 0x03, 0x72, 0x75, 0x6e, 0x00, 0x00]),
    ...section(10, [0x01, ...unsigned(code.length), ...code]),
  ]);
}

/** A function that measures in how many seconds one thread copies a byte (reads and writes it), by the engine's own copy of 128 MiB. */
export function cpuCopy(): () => number {
  const source = new Float32Array(2 ** 25).fill(1);
  const target = new Float32Array(2 ** 25).fill(1);
  // The first of some finds caches of other work.
  return () => best(() => target.set(source), 3) / (2 * source.byteLength);
}

/** Of one thread of this processor, in WebAssembly and in the engine's own copy, which `copyOnce` measures as `cpuCopy` gives it. */
export function cpuCeiling(threads: number, copyOnce: () => number): Ceiling {
  const copy = 1 / Math.min(copyOnce(), copyOnce(), copyOnce());
  const relaxed = WebAssembly.validate(multiplyAddModule(true));
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(multiplyAddModule(relaxed))).exports as {
    run(n: number): number;
  };
  const rounds = 2e6;
  run(1000);
  const flops = (rounds * ACCUMULATORS * 8) / best(() => run(rounds), 8);
  return {
    copy,
    flops: flops * threads,
    how: `copy: 128 MiB by one thread; operations: ${relaxed ? "relaxed " : ""}SIMD multiply-adds in registers${threads > 1 ? `, one thread's times ${threads}` : ""}`,
  };
}

const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4f>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) n: vec3u) {
  let i = id.x + id.y * n.x * 256u;
  if (i < arrayLength(&source)) { target_[i] = source[i]; }
}`;

const MULTIPLY_ADD = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4f>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = source[id.x];
  var a = x; var b = x + 1.0; var c = x + 2.0; var d = x + 3.0;
  for (var i = 0u; i < 1024u; i++) {
    a = fma(a, x, x); b = fma(b, x, x); c = fma(c, x, x); d = fma(d, x, x);
  }
  target_[id.x] = a + b + c + d;
}`;

/** Of a GPU: a kernel that copies, and one that multiplies and adds in registers, each many times in one pass. */
export async function gpuCeiling(gpu: GPU, isSoftware: boolean): Promise<Ceiling> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  const size = Math.min(isSoftware ? 2 ** 24 : 2 ** 28, adapter!.limits.maxStorageBufferBindingSize);
  const device = await adapter!.requestDevice({
    requiredLimits: { maxStorageBufferBindingSize: size, maxBufferSize: size },
  });
  const usage = GPUBufferUsage.STORAGE;
  const source = device.createBuffer({ size, usage });
  const target = device.createBuffer({ size, usage });
  const measure = async (code: string, groups: readonly [number, number], repeat: number): Promise<number> => {
    const pipeline = await device.createComputePipelineAsync({
      layout: "auto",
      compute: { module: device.createShaderModule({ code }) },
    });
    const bindGroup = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [source, target].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    let fastest = Infinity;
    for (let round = 0; round < 4; round++) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      for (let i = 0; i < repeat; i++) pass.dispatchWorkgroups(...groups);
      pass.end();
      const start = performance.now();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      fastest = Math.min(fastest, (performance.now() - start) / 1e3 / repeat);
    }
    return fastest;
  };
  const groups = size / 16 / 256;
  const repeat = isSoftware ? 2 : 50;
  const width = Math.min(groups, 32768);
  const copy = (2 * size) / (await measure(COPY, [width, Math.ceil(groups / width)], repeat));
  const workgroups = isSoftware ? 16 : 8192;
  const flops = (workgroups * 256 * 1024 * 4 * 8) / (await measure(MULTIPLY_ADD, [workgroups, 1], repeat));
  device.destroy();
  return { copy, flops, how: "a kernel that copies and one of multiply-adds in registers, many dispatches a pass" };
}
