/**
 * The kernels that both devices run, as data: what the scheduler makes and what the backends render.
 *
 * A fused kernel walks an iteration space of `outer` dimensions times `inner` dimensions. Its body is a flat SSA list
 * (never a nested expression, which would explode on shared values). Values that depend on an inner coordinate
 * are of level "full", the others of level "row". A `reduce` turns a full value into a row value by combining it over
 * all inner coordinates. A kernel without inner dimensions has row values only: an elementwise map.
 *
 * A kernel comes in two parts: the structure, which is what has to be compiled and is cached by its `key`; and the
 * data (sizes, strides, offsets, scalars), which changes freely under the same compiled program.
 */

import type { DType } from "../dtype.ts";

/**
 * Type of a value inside a kernel: f = float32 (float16 is widened on load), d = float64 (CPU only), i = int32
 * (uint8 is widened on load, wrapped on store), u = uint32, b = bool.
 */
export type ValueType = "f" | "d" | "i" | "u" | "b";

/** How a full value is combined over the inner dimensions. `argmax` and `argmin` give the first inner linear index. */
export type ReduceKind = "sum" | "prod" | "max" | "min" | "any" | "all" | "argmax" | "argmin";

/**
 * Operations of the SSA list. Semantics are IEEE's and PyTorch's, NaN and infinities included, on every device.
 *
 * - `load`: element of a buffer at an affine access (`imm` = access). `loadAt`: element at a computed int32 element index
 *   (`args` = [index], `imm` = buffer). `iota`: the affine number itself as int32 (`imm` = access, whose buffer is -1).
 * - `scalar`: run-time number (`imm` = scalar slot). `const`: number known to the lowering (`imm` = value).
 * - `reduce`: see ReduceKind (`imm` = kind).
 * - `neg abs sign add sub mul min max`: types f d i u (sign: f d i). `min` and `max` give NaN if either is NaN.
 *   Integers wrap. `div pow atan2` are of floats; `idiv` and `rem` truncate as in C (`rem` of floats too: fmod);
 *   integer division by zero gives 0.
 * - `floor ceil trunc round` (half to even) `sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan
 *   sinh cosh tanh asinh acosh atanh erf erfc erfinv lgamma digamma`: floats.
 * - `eq ne lt le gt ge` give b. `and or xor not` are of b; `band bor bxor bnot shl shr` of i and u (`shr` is arithmetic for i).
 * - `select`: args [condition b, then, else]. `isnan isinf`: float to b.
 * - `cast`: to `type`; float to integer truncates (NaN gives 0, out of range saturates), anything to b is `x != 0`.
 * - `wrap8`: i to i, `x & 255`. `roundHalf`: f to f, the nearest float16 (ties to even; infinity beyond the largest).
 * - `checkIndex`: args [index, size]: the index if 0 <= index < size; else 0, and the kernel's status word is set to
 *   the call's tag (the first one wins).
 * - `philox`: args [counter0, counter1, counter2, key0, key1] of type u; word `imm` (0 to 3) of the Philox 4x32-10 block
 *   whose fourth counter word is 0.
 */
export type Primitive =
  | "load"
  | "loadAt"
  | "iota"
  | "scalar"
  | "const"
  | "reduce"
  | "neg"
  | "abs"
  | "sign"
  | "add"
  | "sub"
  | "mul"
  | "min"
  | "max"
  | "div"
  | "pow"
  | "atan2"
  | "idiv"
  | "rem"
  | "floor"
  | "ceil"
  | "trunc"
  | "round"
  | "sqrt"
  | "rsqrt"
  | "exp"
  | "exp2"
  | "expm1"
  | "log"
  | "log2"
  | "log10"
  | "log1p"
  | "sin"
  | "cos"
  | "tan"
  | "asin"
  | "acos"
  | "atan"
  | "sinh"
  | "cosh"
  | "tanh"
  | "asinh"
  | "acosh"
  | "atanh"
  | "erf"
  | "erfc"
  | "erfinv"
  | "lgamma"
  | "digamma"
  | "eq"
  | "ne"
  | "lt"
  | "le"
  | "gt"
  | "ge"
  | "and"
  | "or"
  | "xor"
  | "not"
  | "band"
  | "bor"
  | "bxor"
  | "bnot"
  | "shl"
  | "shr"
  | "select"
  | "isnan"
  | "isinf"
  | "cast"
  | "wrap8"
  | "roundHalf"
  | "checkIndex"
  | "philox";

/** One SSA instruction; `args` are positions of earlier instructions in the list. */
export interface Instr {
  readonly op: Primitive;
  readonly type: ValueType;
  readonly args: readonly number[];
  readonly imm?: number | ReduceKind;
}

/** A buffer that a kernel is bound to. A buffer appears once, however often it is accessed. */
export interface BufferSlot {
  readonly dtype: DType;
  readonly mode: "read" | "write" | "read-write";
}

/**
 * An affine access `offset + sum(stride[d] * coordinate[d])` in elements, over outer then inner dimensions.
 * `classes` has one character a dimension: "0" stride zero (or size one), "1" stride one, "s" any stride (from the data).
 */
export interface AccessClass {
  /** Position in `buffers`; -1 for `iota`. */
  readonly buffer: number;
  readonly classes: string;
}

/** Writes value `value` through access `access` (for a row value in a kernel with inner dimensions: once a row). */
export interface Store {
  readonly access: number;
  readonly value: number;
}

/** What has to be compiled of a fused kernel. */
export interface FusedStructure {
  readonly kind: "fused";
  /** Same key, same program. */
  readonly key: string;
  readonly outerRank: number;
  readonly innerRank: number;
  readonly instrs: readonly Instr[];
  /** "row" or "full", one an instruction. */
  readonly levels: readonly ("row" | "full")[];
  readonly buffers: readonly BufferSlot[];
  readonly accesses: readonly AccessClass[];
  readonly stores: readonly Store[];
  readonly scalars: readonly ValueType[];
  /** True if a `checkIndex` may set the status word. */
  readonly usesStatus: boolean;
}

/** The numbers of one call of a fused kernel. Sizes are never zero: empty kernels are not called. */
export interface FusedData {
  readonly outer: readonly number[];
  readonly inner: readonly number[];
  /** One an access, over outer then inner dimensions; may be negative. */
  readonly strides: readonly (readonly number[])[];
  readonly offsets: readonly number[];
  readonly scalars: readonly number[];
}

/**
 * Kernels with an algorithm of their own. Buffers in order, and the data that each takes:
 *
 * - `matmul`: buffers [a, b, out]; `attrs.rank` = number of batch dimensions. ints = [m, n, k, ...batch sizes,
 *   offset a, row stride a, column stride a, ...batch strides a, offset b, row stride b, column stride b, ...batch strides b].
 *   out is contiguous [...batch, m, n]. Floats accumulate in at least float32; k may be 0 (zeros). Integers wrap.
 * - `scatter`: buffers [out, index, source] (or [out, index] with the scalar `scalars[0]` as source if `attrs.source` is "scalar").
 *   attrs.mode = "set" | "add" | "prod" | "max" | "min"; attrs.rank; ints = [dim, size of out along dim,
 *   ...index sizes, ...out strides, out offset, ...index strides, index offset, ...source strides, source offset].
 *   For every coordinate c of the index's shape: out[c with c[dim] = index[c]] = mode(out, source[c]), updating out in
 *   place. "add" and the other combining modes are deterministic: in an order that depends on the index alone. Of several
 *   terms of "set" any may stay (with determinism asked for, the last). An index out of range writes nothing and sets the status word.
 * - `scan`: buffers [input, out]; attrs.kind = "sum" | "prod" | "max" | "min"; attrs.rank. ints = [length, ...outer sizes, scan stride in,
 *   ...outer strides in, offset in, scan stride out, ...outer strides out, offset out]. Inclusive; max and min propagate NaN.
 * - `conv`: buffers [input, weight, out], floats; attrs.rank = number of spatial dimensions; ints as `packConv` in convolution.ts packs
 *   them, which also says what is computed. out is written through its strides, every element once. Sums accumulate in at least float32.
 * - `sort`: buffers [input, out]; attrs.order = "ascending" | "descending"; attrs.rank. ints = [length, ...outer sizes, stride along the row,
 *   ...outer strides, offset]. out (int32, contiguous [...outer, length]) gets the positions in each row of its elements in order:
 *   stable, NaN beyond infinity, -0 equal to 0. On devices whose limits say `sortsFirst`, a last int may say how many positions are wanted: the
 *   first of each row, out being [...outer, that many].
 * - `attention`: buffers [query, key, value, (mask), out] or, for gradients, [query, key, value, grad, packed result of the forward pass,
 *   delta (float32; float64 for float64), (mask), out], floats; attrs and ints as attention.ts says, which also says what is computed;
 *   scalars = [scale]. out is contiguous and packed: results, then statistics; or gradients one behind the other.
 * - `copy`: buffers [source, out], same dtype: ints = [elements, first element of source, first element of out], byte for byte. Not of
 *   float16, whose elements are smaller than what devices copy.
 */
export type RoutineName = "matmul" | "scatter" | "scan" | "conv" | "sort" | "attention" | "copy";

/**
 * Elementwise work on the result of a routine before it is written: a fused kernel without inner dimensions, of which one buffer stands for the
 * result. It is read at its own place alone, the kernel's rows being its elements in order, and is itself not written anywhere.
 */
export interface Epilogue {
  readonly structure: FusedStructure;
  /** Number of that buffer. */
  readonly result: number;
}

/** What has to be compiled of a routine. With an epilogue, `buffers` has in the place of the result the epilogue's buffers but that one. */
export interface RoutineStructure {
  readonly kind: "routine";
  readonly key: string;
  readonly name: RoutineName;
  readonly attrs: Readonly<Record<string, string | number>>;
  readonly buffers: readonly BufferSlot[];
  readonly usesStatus: boolean;
  readonly epilogue?: Epilogue;
}

/** The numbers of one call of a routine. With an epilogue, `scalars` are the epilogue's. */
export interface RoutineData {
  readonly ints: readonly number[];
  readonly scalars: readonly number[];
  readonly epilogue?: Omit<FusedData, "scalars">;
}

export type KernelStructure = FusedStructure | RoutineStructure;
export type KernelData = FusedData | RoutineData;

/** A kernel with its numbers. */
export type Kernel =
  | { readonly structure: FusedStructure; readonly data: FusedData }
  | { readonly structure: RoutineStructure; readonly data: RoutineData };

/** Key of a routine's structure. */
export function routineKey(
  name: RoutineName,
  attrs: Readonly<Record<string, string | number>>,
  buffers: readonly BufferSlot[],
): string {
  const parts = Object.keys(attrs)
    .sort()
    .map((k) => `${k}=${attrs[k]}`);
  return `${name}(${parts.join(",")})[${buffers.map((b) => `${b.dtype}:${b.mode}`).join(",")}]`;
}

/** Key of a fused structure's content: everything that the rendered code depends on. */
export function fusedKey(s: Omit<FusedStructure, "key">): string {
  const instrs = s.instrs.map(
    (i) => `${i.op}:${i.type}(${i.args.join(",")})${i.imm === undefined ? "" : `#${immKey(i.imm)}`}`,
  );
  const accesses = s.accesses.map((a) => `${a.buffer}@${a.classes}`);
  const stores = s.stores.map((t) => `${t.access}<${t.value}`);
  const buffers = s.buffers.map((b) => `${b.dtype}:${b.mode}`);
  return [
    `${s.outerRank}x${s.innerRank}`,
    instrs.join(";"),
    accesses.join(";"),
    stores.join(";"),
    buffers.join(";"),
    s.scalars.join(""),
  ].join("|");
}

function immKey(imm: number | ReduceKind): string {
  return Object.is(imm, -0) ? "-0" : String(imm);
}
