/** Subgroups of any size on any adapter: exchanges go through shared memory instead, so that shaders for them can be run where no hardware has them. */

import type { WebGpuBackend, WebGpuBackendOptions } from "../../src/backend/webgpu/backend.ts";
import { findDevice } from "../../src/backend/webgpu/device.ts";
import { openWebGpu } from "./webgpu.ts";

/** What stands in for the built-in function: WGSL lets a program declare its name anew. */
const EXCHANGE = `var<workgroup> exchanged: array<u32, 256>;
var<private> exchanged_at: u32;
fn subgroupShuffleXor(x: u32, step: u32) -> u32 {
  exchanged[exchanged_at] = x;
  workgroupBarrier();
  let y = exchanged[exchanged_at ^ step];
  workgroupBarrier();
  return y;
}
`;

function withoutSubgroups(code: string): string {
  if (!code.includes("enable subgroups;")) return code;
  const main = /local_invocation_index\) (\w+): u32,?\s*\) \{/;
  if (!main.test(code)) throw new Error(`a shader without the number of its invocation:\n${code}`);
  return code
    .replace("enable subgroups;\n", "")
    .replace(main, (text, local: string) => `${text}\n  exchanged_at = ${local};`)
    .replace("struct Params", `${EXCHANGE}struct Params`);
}

/** A backend whose subgroups seem to have so many invocations, and how many shaders have used them. */
export async function openWithSubgroups(
  size: number,
  options: WebGpuBackendOptions = {},
): Promise<{ gpu: WebGpuBackend; used: () => number }> {
  const found = await findDevice({ without: ["subgroups"] });
  if ("reason" in found) throw new Error(found.reason);
  const { device } = found;
  const create = device.createShaderModule.bind(device);
  let used = 0;
  device.createShaderModule = (descriptor) => {
    const code = withoutSubgroups(descriptor.code);
    if (code !== descriptor.code) used++;
    return create({ ...descriptor, code });
  };
  const gpu = await openWebGpu({
    ...options,
    gpu: device as never,
    figures: { ...options.figures, subgroup: size },
  });
  return { gpu, used: () => used };
}
