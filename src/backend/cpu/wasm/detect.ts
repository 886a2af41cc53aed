/** What WebAssembly can do here. */

import { ModuleBuilder } from "./emitter.ts";

export interface WasmSupport {
  /** Relaxed SIMD: multiply-add in one instruction. */
  readonly relaxed: boolean;
}

function moduleWith(op: "f32x4.add" | "f32x4.relaxed_madd"): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(false);
  const f = module.function("f", []);
  const x = f.vector("f32x4", 1);
  f.op(op, op === "f32x4.add" ? [x, x] : [x, x, x]);
  return module.bytes();
}

let found: WasmSupport | null | undefined;

/** Null where WebAssembly or its SIMD is missing, or a policy of the page forbids compiling it. */
export function detectWasm(): WasmSupport | null {
  if (found === undefined) found = detect();
  return found;
}

function detect(): WasmSupport | null {
  if (typeof WebAssembly === "undefined") return null;
  try {
    const module = new WebAssembly.Module(moduleWith("f32x4.add"));
    if (WebAssembly.Module.exports(module).length !== 1) return null;
  } catch {
    return null;
  }
  return { relaxed: WebAssembly.validate(moduleWith("f32x4.relaxed_madd")) };
}
