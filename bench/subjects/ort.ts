/** ONNX Runtime Web as a subject: forward operations only, each as a model of one graph. */

import { toHalf, type HalfArray } from "../support/half.ts";
import type { HostArray } from "../support/random.ts";
import { TINY_ADD, TINY_MUL } from "../workloads/elementwise.ts";
import { product, type FloatType, type Workload } from "../workloads/workload.ts";
import { onnxModel, type OnnxConstant, type OnnxNode } from "./onnx.ts";
import type { Device, Instance, Subject } from "./subject.ts";

type OrtType = "float32" | "float16" | "int32";

/** What is used of a tensor of ONNX Runtime. */
export interface OrtTensor {
  readonly data: ArrayLike<number>;
  readonly dims: readonly number[];
  readonly location: string;
  getData(release?: boolean): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** What is used of `onnxruntime-web`, which is installed only for the benchmark. */
export interface Ort {
  readonly env: {
    readonly wasm: { numThreads?: number; wasmPaths?: string };
    logLevel?: string;
    readonly versions: { web?: string; common: string };
    readonly webgpu: { device?: Promise<GPUDevice> | GPUDevice; adapter?: GPUAdapter };
  };
  readonly Tensor: (new (type: OrtType, data: HostArray | HalfArray, dims: readonly number[]) => OrtTensor) & {
    fromGpuBuffer(
      buffer: GPUBuffer,
      options: { dataType: OrtType; dims: readonly number[]; dispose?: () => void },
    ): OrtTensor;
  };
  readonly InferenceSession: {
    create(
      model: Uint8Array,
      options: {
        executionProviders: readonly string[];
        graphOptimizationLevel: string;
        preferredOutputLocation?: string;
        intraOpNumThreads?: number;
      },
    ): Promise<OrtSession>;
  };
}

interface OrtSession {
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

interface Model {
  readonly nodes: readonly OnnxNode[];
  readonly constants?: readonly OnnxConstant[];
}

const FORWARD_ONLY = "forward only";

const scalar = (name: string, value: number): OnnxConstant => ({ name, shape: [], data: new Float32Array([value]) });
const integers = (name: string, values: readonly number[]): OnnxConstant => ({
  name,
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
});

/** One operator after the other, each on the result of the one before; "x" first, "out" last. */
function sequence(steps: readonly (readonly [op: string, other?: string])[]): OnnxNode[] {
  return steps.map(([op, other], i) => ({
    op,
    inputs: [i === 0 ? "in0" : `t${i - 1}`, ...(other === undefined ? [] : [other])],
    outputs: [i === steps.length - 1 ? "out" : `t${i}`],
  }));
}

/** The graph of a workload ("in0", "in1", ... to "out"), or why there is none. */
function modelOf({ task, inputs }: Workload): Model | string {
  const single = (op: string, count: number, attributes: OnnxNode["attributes"] = {}): Model => ({
    nodes: [{ op, inputs: Array.from({ length: count }, (_, i) => `in${i}`), outputs: ["out"], attributes }],
  });
  switch (task.op) {
    case "matmul": {
      if (!task.transposeA) return single("MatMul", 2);
      return {
        nodes: [{ op: "Gemm", inputs: ["in0", "in1"], outputs: ["out"], attributes: { transA: 1 } }],
      };
    }
    case "conv2d": {
      const { stride, padding } = task;
      return single("Conv", 2, { strides: [stride, stride], pads: [padding, padding, padding, padding] });
    }
    case "add":
    case "biasAdd":
      return single("Add", 2);
    case "gelu":
      return single("Gelu", 1, { approximate: "tanh" });
    case "chain":
      return {
        nodes: sequence([
          ["Mul", "c1.5"],
          ["Add", "c0.5"],
          ["Relu"],
          ["Mul", "in1"],
          ["Sub", "in0"],
          ["Abs"],
          ["Add", "c1"],
          ["Sqrt"],
          ["Mul", "c0.5"],
          ["Max", "in1"],
        ]),
        constants: [scalar("c1.5", 1.5), scalar("c0.5", 0.5), scalar("c1", 1)],
      };
    case "softmax":
      return single("Softmax", 1, { axis: -1 });
    case "layerNorm":
      return single("LayerNormalization", 3, { axis: -1, epsilon: { float: 1e-5 } });
    case "sum":
      return single("ReduceSum", 1, { keepdims: 0 });
    case "cumsum":
      return {
        nodes: [{ op: "CumSum", inputs: ["in0", "axis"], outputs: ["out"] }],
        constants: [{ name: "axis", shape: [], data: new BigInt64Array([0n]) }],
      };
    case "sort":
    case "topk": {
      const k = task.op === "sort" ? inputs[0]!.shape[0]! : task.k;
      return {
        nodes: [
          {
            op: "TopK",
            inputs: ["in0", "k"],
            outputs: ["out", "indices"],
            attributes: { largest: task.op === "sort" ? 0 : 1, sorted: 1 },
          },
        ],
        constants: [integers("k", [k])],
      };
    }
    case "attention": {
      const [, , length, width] = inputs[0]!.shape as [number, number, number, number];
      const mask = new Float32Array(length * length);
      for (let i = 0; i < length; i++) mask.fill(-1e9, i * length + i + 1, (i + 1) * length);
      return {
        nodes: [
          { op: "Mul", inputs: ["in0", "scale"], outputs: ["q"] },
          { op: "Transpose", inputs: ["in1"], outputs: ["k"], attributes: { perm: [0, 1, 3, 2] } },
          { op: "MatMul", inputs: ["q", "k"], outputs: ["scores"] },
          { op: "Add", inputs: ["scores", "mask"], outputs: ["masked"] },
          { op: "Softmax", inputs: ["masked"], outputs: ["p"], attributes: { axis: -1 } },
          { op: "MatMul", inputs: ["p", "in2"], outputs: ["out"] },
        ],
        constants: [scalar("scale", 1 / Math.sqrt(width)), { name: "mask", shape: [1, 1, length, length], data: mask }],
      };
    }
    case "tiny":
      return {
        nodes: sequence(Array.from({ length: task.count }, (_, i) => (i % 2 === 0 ? ["Mul", "m"] : ["Add", "a"]))),
        constants: [scalar("m", TINY_MUL), scalar("a", TINY_ADD)],
      };
    case "conv2dBackward":
    case "layerNormBackward":
    case "attentionBackward":
    case "embeddingBackward":
    case "adamw":
      return FORWARD_ONLY;
  }
}

function outputShape(workload: Workload): readonly number[] {
  const { task, inputs } = workload;
  const [a, b] = inputs.map((i) => i.shape);
  switch (task.op) {
    case "matmul":
      return task.transposeA ? [a![1]!, b![1]!] : [...a!.slice(0, -1), b![b!.length - 1]!];
    case "conv2d": {
      const size = (n: number): number => Math.floor((n + 2 * task.padding - b![2]!) / task.stride) + 1;
      return [a![0]!, b![0]!, size(a![2]!), size(a![3]!)];
    }
    case "sum":
      return [];
    case "topk":
      return [task.k];
    default:
      return a!;
  }
}

async function prepare(
  ort: Ort,
  device: Device,
  threads: number,
  workload: Workload,
): Promise<Instance | { missing: string }> {
  const model = modelOf(workload);
  if (typeof model === "string") return { missing: model };
  const { dtype = "float32" } = workload;
  const values = workload.inputs.map(({ shape, distribution }, i) => ({
    name: `in${i}`,
    shape,
    type: distribution.kind === "index" ? ("int32" as const) : dtype,
  }));
  const constants = (model.constants ?? []).map((c) =>
    dtype === "float16" && c.data instanceof Float32Array ? { ...c, data: toHalf(c.data) } : c,
  );
  const session = await ort.InferenceSession.create(
    onnxModel({
      nodes: model.nodes,
      constants,
      inputs: values,
      outputs: [{ name: "out", shape: outputShape(workload), type: dtype }],
    }),
    {
      executionProviders: [device === "cpu" ? "wasm" : "webgpu"],
      graphOptimizationLevel: "all",
      intraOpNumThreads: threads,
      ...(device === "webgpu" ? { preferredOutputLocation: "gpu-buffer" } : {}),
    },
  );
  const gpu = device === "webgpu" ? await ort.env.webgpu.device : undefined;
  let feeds: Record<string, OrtTensor> = {};
  let buffers: GPUBuffer[] = [];
  const unload = (): void => {
    for (const tensor of Object.values(feeds)) tensor.dispose();
    for (const buffer of buffers) buffer.destroy();
    feeds = {};
    buffers = [];
  };
  return {
    async load(arrays) {
      unload();
      arrays.forEach((given, i) => {
        const { name, shape, type } = values[i]!;
        const data = type === "float16" ? toHalf(given) : given;
        if (gpu === undefined) feeds[name] = new ort.Tensor(type, data, shape);
        else {
          const buffer = gpu.createBuffer({
            size: Math.ceil(data.byteLength / 16) * 16,
            usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
          });
          gpu.queue.writeBuffer(buffer, 0, data.buffer, data.byteOffset, data.byteLength);
          buffers.push(buffer);
          feeds[name] = ort.Tensor.fromGpuBuffer(buffer, { dataType: type, dims: shape });
        }
      });
      await gpu?.queue.onSubmittedWorkDone();
    },
    async run(repeat) {
      let value = 0;
      for (let i = 0; i < repeat; i++) {
        const { out } = await session.run(feeds);
        // On the GPU only the last result is waited for: that is its queue's order.
        if (out!.location === "cpu" || i === repeat - 1) value = (await readFirst(out!, gpu, dtype))!;
        out!.dispose();
      }
      return { value };
    },
    async outputs() {
      const { out } = await session.run(feeds);
      const data = Float32Array.from(await out!.getData());
      out!.dispose();
      return [data.subarray(0, product(outputShape(workload)))];
    },
    unload,
    close: () => void session.release(),
  };
}

/** One element of a result; on the GPU by a copy of four bytes, since ONNX Runtime itself would bring all of it. */
async function readFirst(tensor: OrtTensor, gpu: GPUDevice | undefined, dtype: FloatType): Promise<number | undefined> {
  if (tensor.location === "cpu" || gpu === undefined) return tensor.data[0];
  const { gpuBuffer } = tensor as unknown as { gpuBuffer: GPUBuffer };
  const staging = gpu.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(gpuBuffer, 0, staging, 0, 4);
  gpu.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const bytes = staging.getMappedRange();
  const value = (dtype === "float16" ? toHalf(bytes) : new Float32Array(bytes))[0];
  staging.destroy();
  return value;
}

/** ONNX Runtime Web. */
export function ortSubject(ort: Ort, device: Device, threads: number): Subject {
  return {
    name: `onnxruntime ${device === "cpu" ? "wasm" : "webgpu"}`,
    library: "onnxruntime",
    device,
    version: ort.env.versions.web ?? ort.env.versions.common,
    threads,
    note: device === "cpu" ? "each run copies inputs and results in and out of its memory" : "a model compiled ahead",
    prepare: (workload) => prepare(ort, device, threads, workload),
  };
}
