/** Compiled shaders: made in the background, waited for in order. */

import { DeviceError } from "../../errors.ts";
import { withImmediates, type Shader } from "./shader.ts";

/** A shader that is compiled or being compiled. */
export interface Pipeline {
  readonly shader: Shader;
  /** Set once compiled. */
  ready: GPUComputePipeline | null;
  /** Set if the shader cannot be compiled. */
  error: DeviceError | null;
  readonly bufferLayout: GPUBindGroupLayout;
  /** True if its parameters are immediates. */
  readonly isImmediate: boolean;
  /** Settles, without failing, when `ready` or `error` is set. */
  readonly done: Promise<void>;
}

/** All pipelines of a device, by the key of their shader. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #debug: boolean;
  readonly #known = new Map<string, Pipeline>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #pipelineLayouts = new Map<string, GPUPipelineLayout>();
  /** Bytes of parameters that may be immediates. */
  readonly #immediateBytes: number;
  /** Layouts of group 0: parameters, parameters with the status word, and that alone. */
  readonly plainLayout: GPUBindGroupLayout;
  readonly statusLayout: GPUBindGroupLayout;
  readonly onlyStatusLayout: GPUBindGroupLayout;

  constructor(device: GPUDevice, debug: boolean, immediateBytes: number) {
    this.#device = device;
    this.#debug = debug;
    this.#immediateBytes = immediateBytes;
    const params: GPUBindGroupLayoutEntry = {
      binding: 0,
      visibility: 4,
      buffer: { type: "uniform", hasDynamicOffset: true },
    };
    const status: GPUBindGroupLayoutEntry = { binding: 1, visibility: 4, buffer: { type: "storage" } };
    this.plainLayout = device.createBindGroupLayout({ entries: [params] });
    this.statusLayout = device.createBindGroupLayout({ entries: [params, status] });
    this.onlyStatusLayout = device.createBindGroupLayout({ entries: [status] });
  }

  /** Number of shaders compiled or being compiled. */
  get size(): number {
    return this.#known.size;
  }

  find(key: string): Pipeline | undefined {
    return this.#known.get(key);
  }

  /** Starts to compile a shader that is not known yet. */
  add(shader: Shader): Pipeline {
    const known = this.#known.get(shader.key);
    if (known !== undefined) return known;
    const modes = shader.bindings.map((b) => (b.writes ? "w" : "r")).join("");
    const bufferLayout = this.#layout(modes);
    // The scope keeps a faulty shader from being reported a second time as an uncaptured error.
    this.#device.pushErrorScope("validation");
    const bytes = shader.words * 4;
    const isImmediate = bytes <= this.#immediateBytes;
    const code = isImmediate ? withImmediates(shader.code) : shader.code;
    const module = this.#device.createShaderModule({ code });
    void this.#device.popErrorScope().catch(() => null);
    const compiled = this.#device.createComputePipelineAsync({
      label: shader.key.slice(0, 200),
      layout: this.#pipelineLayout(modes, bufferLayout, shader.usesStatus, isImmediate ? bytes : 0),
      compute: { module, entryPoint: "main" },
    });
    const pipeline: Pipeline = {
      shader,
      ready: null,
      error: null,
      bufferLayout,
      isImmediate,
      done: compiled.then(
        (ready) => {
          pipeline.ready = ready;
        },
        async (error: unknown) => {
          pipeline.error = await this.#explain(shader, module, error);
        },
      ),
    };
    this.#known.set(shader.key, pipeline);
    return pipeline;
  }

  async #explain(shader: Shader, module: GPUShaderModule, error: unknown): Promise<DeviceError> {
    let message = error instanceof Error ? error.message : String(error);
    try {
      const { messages } = await module.getCompilationInfo();
      const faults = messages.filter((m) => m.type === "error").map((m) => `${m.lineNum}:${m.linePos} ${m.message}`);
      if (faults.length > 0) message = faults.join("; ");
    } catch {
      // The device may be lost by now; the first message has to do.
    }
    const text = this.#debug ? `\n${shader.code}` : "";
    return new DeviceError(`the kernel ${shader.key} could not be compiled: ${message}${text}`);
  }

  #layout(modes: string): GPUBindGroupLayout {
    let layout = this.#layouts.get(modes);
    if (layout === undefined) {
      layout = this.#device.createBindGroupLayout({
        entries: Array.from(modes, (mode, binding) => ({
          binding,
          visibility: 4,
          buffer: { type: mode === "w" ? ("storage" as const) : ("read-only-storage" as const) },
        })),
      });
      this.#layouts.set(modes, layout);
    }
    return layout;
  }

  #pipelineLayout(
    modes: string,
    buffers: GPUBindGroupLayout,
    usesStatus: boolean,
    immediateSize: number,
  ): GPUPipelineLayout {
    const key = `${modes}${usesStatus ? "!" : ""}${immediateSize}`;
    let layout = this.#pipelineLayouts.get(key);
    if (layout === undefined) {
      let first: GPUBindGroupLayout | null = usesStatus ? this.statusLayout : this.plainLayout;
      if (immediateSize > 0) first = usesStatus ? this.onlyStatusLayout : null;
      const bindGroupLayouts = [first, buffers];
      layout = this.#device.createPipelineLayout(
        immediateSize > 0 ? { bindGroupLayouts, immediateSize } : { bindGroupLayouts },
      );
      this.#pipelineLayouts.set(key, layout);
    }
    return layout;
  }
}
