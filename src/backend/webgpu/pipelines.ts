/** Compiled shaders: made in the background, waited for in order. */

import { DeviceError } from "../../errors.ts";
import type { Shader } from "./shader.ts";

/** A shader that is compiled or being compiled. */
export interface Pipeline {
  readonly shader: Shader;
  /** Set once compiled. */
  ready: GPUComputePipeline | null;
  /** Set if the shader cannot be compiled. */
  error: DeviceError | null;
  readonly bufferLayout: GPUBindGroupLayout;
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
  /** Layouts of group 0: parameters, and parameters with the status word. */
  readonly plainLayout: GPUBindGroupLayout;
  readonly statusLayout: GPUBindGroupLayout;

  constructor(device: GPUDevice, debug: boolean) {
    this.#device = device;
    this.#debug = debug;
    const params: GPUBindGroupLayoutEntry = {
      binding: 0,
      visibility: 4,
      buffer: { type: "uniform", hasDynamicOffset: true },
    };
    const status: GPUBindGroupLayoutEntry = { binding: 1, visibility: 4, buffer: { type: "storage" } };
    this.plainLayout = device.createBindGroupLayout({ entries: [params] });
    this.statusLayout = device.createBindGroupLayout({ entries: [params, status] });
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
    const module = this.#device.createShaderModule({ code: shader.code });
    void this.#device.popErrorScope().catch(() => null);
    const compiled = this.#device.createComputePipelineAsync({
      label: shader.key.slice(0, 200),
      layout: this.#pipelineLayout(modes, bufferLayout, shader.usesStatus),
      compute: { module, entryPoint: "main" },
    });
    const pipeline: Pipeline = {
      shader,
      ready: null,
      error: null,
      bufferLayout,
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

  #pipelineLayout(modes: string, buffers: GPUBindGroupLayout, usesStatus: boolean): GPUPipelineLayout {
    const key = `${modes}${usesStatus ? "!" : ""}`;
    let layout = this.#pipelineLayouts.get(key);
    if (layout === undefined) {
      layout = this.#device.createPipelineLayout({
        bindGroupLayouts: [usesStatus ? this.statusLayout : this.plainLayout, buffers],
      });
      this.#pipelineLayouts.set(key, layout);
    }
    return layout;
  }
}
