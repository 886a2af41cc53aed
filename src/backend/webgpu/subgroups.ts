/** Whether neighbouring invocations of a device can exchange values. */

import { USAGE } from "./pool.ts";

const WORKGROUP = 256;
const RAN = 0x10000;
const READ = 1;

/** What devices were found to do. */
const known = new WeakMap<GPUDevice, number>();

/** What `probeSubgroups` found for a device; 1 if it was never asked. */
export function subgroupSize(device: GPUDevice): number {
  return known.get(device) ?? 1;
}

/**
 * So many neighbours (by number in a workgroup of 256) can exchange values, a power of two; 1 where shaders cannot use subgroups. WebGPU leaves it open which invocations form a subgroup,
 * so it is tried out.
 */
export async function probeSubgroups(device: GPUDevice): Promise<number> {
  const least = device.features.has("subgroups") ? (device.adapterInfo?.subgroupMinSize ?? 1) : 1;
  const size = Math.min(2 ** Math.floor(Math.log2(Math.max(least, 1))), WORKGROUP);
  const works = size > 1 && (await exchanges(device, size).catch(() => false));
  known.set(device, works ? size : 1);
  return subgroupSize(device);
}

/** Lets every invocation exchange its number with its neighbours. */
async function exchanges(device: GPUDevice, size: number): Promise<boolean> {
  const code = `enable subgroups;
@group(0) @binding(0) var<storage, read_write> result: atomic<u32>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(local_invocation_index) local: u32) {
  var wrong = 0u;
  for (var step = 1u; step < ${size}u; step = step << 1u) {
    if (subgroupShuffleXor(local, step) != (local ^ step)) { wrong = 1u; }
  }
  atomicAdd(&result, wrong + ${RAN}u);
}
`;
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  const scope = device.popErrorScope();
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } });
  if ((await scope) !== null) return false;
  const result = device.createBuffer({ size: 4, usage: USAGE.STORAGE | USAGE.COPY_SRC });
  const mapped = device.createBuffer({ size: 4, usage: USAGE.MAP_READ | USAGE.COPY_DST });
  try {
    const layout = pipeline.getBindGroupLayout(0);
    const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: result } }] });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(result, 0, mapped, 0, 4);
    device.queue.submit([encoder.finish()]);
    await mapped.mapAsync(READ);
    return new Uint32Array(mapped.getMappedRange())[0] === WORKGROUP * RAN;
  } finally {
    result.destroy();
    mapped.destroy();
  }
}
