/** Where the tests run there is a WebGPU device that computes, and errors on it do not go unnoticed. */

import { testGpu, withErrorScopes } from "../support/device.ts";
import { ensure, expectEqual, expectThrows, suite } from "../support/portable.ts";

const DOUBLE = `
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) { values[id.x] *= 2.0; }
`;

/** GPUBufferUsage and GPUMapMode by number: Node has no such globals. */
const STORAGE_AND_COPIES = 0x80 | 0x8 | 0x4;
const READBACK = 0x1 | 0x8;
const MAP_READ = 0x1;

/** Tests of the environment; needed by all the others. */
export const environment = suite(
  "environment",
  {
    "there is a WebGPU device": async () => {
      const device = await testGpu();
      ensure(
        device.limits.maxStorageBuffersPerShaderStage >= 8,
        "the device has fewer than 8 storage buffers a shader",
      );
    },

    "a shader computes": async () => {
      const device = await testGpu();
      const values = device.createBuffer({ size: 16, usage: STORAGE_AND_COPIES });
      const readback = device.createBuffer({ size: 16, usage: READBACK });
      device.queue.writeBuffer(values, 0, new Float32Array([1, 2, 3, 4]));
      const module = device.createShaderModule({ code: DOUBLE });
      const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
      const group = device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [{ binding: 0, resource: { buffer: values } }],
      });
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(1);
      pass.end();
      encoder.copyBufferToBuffer(values, 0, readback, 0, 16);
      device.queue.submit([encoder.finish()]);
      await readback.mapAsync(MAP_READ);
      expectEqual(new Float32Array(readback.getMappedRange().slice(0)), [2, 4, 6, 8]);
      values.destroy();
      readback.destroy();
    },

    "a validation error fails a test": async () => {
      const device = await testGpu();
      const mistake = (): void => {
        device.createBuffer({ size: 16, usage: 0 });
      };
      await expectThrows(() => withErrorScopes(device, mistake), "WebGPU validation error");
    },
  },
  { devices: ["webgpu"] },
);
