/**
 * A GPU that computes nothing, for all libraries alike: what remains of a step on it is what their JavaScript costs, and what they
 * ask of a GPU can be counted. Buffers hold no memory; reads give zeros.
 */

/** What was asked of the GPU. */
export interface GpuCounts {
  dispatches: number;
  passes: number;
  submissions: number;
  buffers: number;
  bindGroups: number;
  pipelines: number;
  writes: number;
}

const LIMITS = {
  maxTextureDimension1D: 16384,
  maxTextureDimension2D: 16384,
  maxTextureDimension3D: 2048,
  maxTextureArrayLayers: 2048,
  maxBindGroups: 4,
  maxBindGroupsPlusVertexBuffers: 24,
  maxBindingsPerBindGroup: 1000,
  maxDynamicUniformBuffersPerPipelineLayout: 8,
  maxDynamicStorageBuffersPerPipelineLayout: 4,
  maxSampledTexturesPerShaderStage: 16,
  maxSamplersPerShaderStage: 16,
  maxStorageBuffersPerShaderStage: 10,
  maxStorageTexturesPerShaderStage: 8,
  maxUniformBuffersPerShaderStage: 12,
  maxUniformBufferBindingSize: 65536,
  maxStorageBufferBindingSize: 2 ** 31 - 4,
  minUniformBufferOffsetAlignment: 256,
  minStorageBufferOffsetAlignment: 256,
  maxVertexBuffers: 8,
  maxBufferSize: 2 ** 32,
  maxComputeWorkgroupStorageSize: 32768,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
  maxComputeWorkgroupSizeY: 1024,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
};

class NullBuffer {
  readonly size: number;
  readonly usage: number;
  mapState = "unmapped";
  constructor({ size, usage, mappedAtCreation }: GPUBufferDescriptor) {
    this.size = size;
    this.usage = usage;
    if (mappedAtCreation === true) this.mapState = "mapped";
  }
  mapAsync(): Promise<void> {
    this.mapState = "mapped";
    return Promise.resolve();
  }
  getMappedRange(offset = 0, size = this.size - offset): ArrayBuffer {
    return new ArrayBuffer(size);
  }
  unmap(): void {
    this.mapState = "unmapped";
  }
  destroy(): void {}
}

/** Makes such a GPU, with its counters. */
export function nullGpu(): { readonly gpu: GPU; readonly counts: GpuCounts } {
  const counts: GpuCounts = {
    dispatches: 0,
    passes: 0,
    submissions: 0,
    buffers: 0,
    bindGroups: 0,
    pipelines: 0,
    writes: 0,
  };
  const nothing = (): void => {};
  const layout = {};
  const pipeline = { getBindGroupLayout: () => layout };
  const dispatch = (): void => {
    counts.dispatches++;
  };
  const pass = {
    setPipeline: nothing,
    setBindGroup: nothing,
    setImmediates: nothing,
    dispatchWorkgroups: dispatch,
    dispatchWorkgroupsIndirect: dispatch,
    pushDebugGroup: nothing,
    popDebugGroup: nothing,
    insertDebugMarker: nothing,
    end: nothing,
  };
  const encoder = {
    beginComputePass() {
      counts.passes++;
      return pass;
    },
    copyBufferToBuffer: nothing,
    clearBuffer: nothing,
    resolveQuerySet: nothing,
    pushDebugGroup: nothing,
    popDebugGroup: nothing,
    finish: () => ({}),
  };
  const queue = {
    submit() {
      counts.submissions++;
    },
    writeBuffer() {
      counts.writes++;
    },
    onSubmittedWorkDone: () => Promise.resolve(),
  };
  const makePipeline = (): object => {
    counts.pipelines++;
    return pipeline;
  };
  const info = {
    vendor: "none",
    architecture: "none",
    device: "",
    description: "computes nothing",
    isFallbackAdapter: false,
  };
  const features = new Set<string>();
  const makeDevice = (): object => ({
    features,
    limits: LIMITS,
    adapterInfo: info,
    queue,
    lost: new Promise(nothing),
    label: "",
    createBuffer(descriptor: GPUBufferDescriptor) {
      counts.buffers++;
      return new NullBuffer(descriptor);
    },
    createShaderModule: () => ({ getCompilationInfo: () => Promise.resolve({ messages: [] }) }),
    createComputePipeline: makePipeline,
    createComputePipelineAsync: () => Promise.resolve(makePipeline()),
    createBindGroupLayout: () => layout,
    createPipelineLayout: () => layout,
    createBindGroup() {
      counts.bindGroups++;
      return {};
    },
    createCommandEncoder: () => encoder,
    createQuerySet: () => ({ destroy: nothing }),
    pushErrorScope: nothing,
    popErrorScope: () => Promise.resolve(null),
    addEventListener: nothing,
    removeEventListener: nothing,
    destroy: nothing,
  });
  const adapter = { info, features, limits: LIMITS, requestDevice: () => Promise.resolve(makeDevice()) };
  const gpu = {
    requestAdapter: () => Promise.resolve(adapter),
    getPreferredCanvasFormat: () => "bgra8unorm",
    wgslLanguageFeatures: new Set<string>(),
  };
  return { gpu: gpu as unknown as GPU, counts };
}

/** Makes it `navigator.gpu`, with the constants that a browser has. */
export function provideNullGpu(): { readonly gpu: GPU; readonly counts: GpuCounts } {
  const made = nullGpu();
  Object.assign(globalThis, {
    GPUBuffer: NullBuffer,
    GPUTexture: class {},
    GPUBufferUsage: {
      MAP_READ: 1,
      MAP_WRITE: 2,
      COPY_SRC: 4,
      COPY_DST: 8,
      INDEX: 16,
      VERTEX: 32,
      UNIFORM: 64,
      STORAGE: 128,
      INDIRECT: 256,
      QUERY_RESOLVE: 512,
    },
    GPUMapMode: { READ: 1, WRITE: 2 },
    GPUShaderStage: { VERTEX: 1, FRAGMENT: 2, COMPUTE: 4 },
    GPUTextureUsage: { COPY_SRC: 1, COPY_DST: 2, TEXTURE_BINDING: 4, STORAGE_BINDING: 8, RENDER_ATTACHMENT: 16 },
  });
  Object.defineProperty(globalThis.navigator, "gpu", { value: made.gpu, configurable: true });
  return made;
}
