/** WGSL expressions of the primitives. */

import type { BufferSlot, Instr, ReduceKind, ValueType } from "../../graph/kernel.ts";
import { DTypeError } from "../../errors.ts";

/** WGSL's name of a value type. */
export function wgslType(type: ValueType): string {
  switch (type) {
    case "f":
      return "f32";
    case "i":
      return "i32";
    case "u":
      return "u32";
    case "b":
      return "bool";
    case "d":
      throw new DTypeError("float64 values do not exist on WebGPU");
  }
}

/** A number as a WGSL expression of a type. */
export function literal(value: number, type: ValueType): string {
  switch (type) {
    case "b":
      return value !== 0 ? "true" : "false";
    case "u":
      return `${value >>> 0}u`;
    case "i": {
      const i = value | 0;
      return i === -2147483648 ? "(-2147483647i - 1i)" : `${i}i`;
    }
    default:
      return floatLiteral(value);
  }
}

function floatLiteral(value: number): string {
  if (Number.isNaN(value)) return "bitcast<f32>(params.nan)";
  const x = Math.fround(value);
  if (x === Infinity) return "bitcast<f32>(params.inf)";
  if (x === -Infinity) return "-bitcast<f32>(params.inf)";
  // The bits 0x80000000 out of a parameter: as a constant, -0 is folded to 0 (seen in SwiftShader).
  if (Object.is(x, -0)) return "bitcast<f32>(params.inf ^ 0xff800000u)";
  const text = x.toString();
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** Primitives whose library function has their name, for floats. */
const FLOAT_FUNCTIONS = new Set<string>([
  "sign",
  "min",
  "max",
  "pow",
  "atan2",
  "rem",
  "floor",
  "ceil",
  "trunc",
  "round",
  "sqrt",
  "rsqrt",
  "exp",
  "exp2",
  "expm1",
  "log",
  "log2",
  "log10",
  "log1p",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
  "erf",
  "erfc",
  "erfinv",
  "lgamma",
  "digamma",
  "isnan",
  "isinf",
]);

/** The same for the other types. */
const OTHER_FUNCTIONS: Readonly<Record<string, Readonly<Partial<Record<ValueType, string>>>>> = {
  sign: { i: "sign" },
  min: { i: "min", u: "min" },
  max: { i: "max", u: "max" },
  idiv: { i: "t_idiv_i", u: "t_idiv_u" },
  rem: { i: "t_rem_i", u: "t_rem_u" },
};

const INFIX: Readonly<Record<string, string>> = {
  add: "+",
  sub: "-",
  mul: "*",
  div: "/",
  and: "&",
  or: "|",
  xor: "!=",
  band: "&",
  bor: "|",
  bxor: "^",
};

const COMPARE: Readonly<Record<string, string>> = { eq: "==", ne: "!=", lt: "<", le: "<=", gt: ">", ge: ">=" };

/**
 * The expression of an instruction that only depends on its arguments (`a`, whose types are `types`); loads, iota, scalars, reduce
 * and philox are the renderer's.
 */
export function expression(instr: Instr, a: readonly string[], types: readonly ValueType[]): string {
  const { op, type } = instr;
  const operand = types[0];
  switch (op) {
    case "const":
      return literal(instr.imm as number, type);
    case "neg":
      return type === "u" ? `0u - ${a[0]}` : `-${a[0]}`;
    case "abs":
      return type === "u" ? a[0]! : `abs(${a[0]})`;
    case "not":
      return `!${a[0]}`;
    case "bnot":
      return `~${a[0]}`;
    case "shl":
    case "shr":
      return `t_${op}_${type}(${a[0]}, ${types[1] === "u" ? a[1] : `u32(${a[1]})`})`;
    case "select":
      return `select(${a[2]}, ${a[1]}, ${a[0]})`;
    case "roundHalf":
      return `f32(t_to_half(${a[0]}))`;
    case "wrap8":
      return `${a[0]} & 255i`;
    case "checkIndex":
      return `t_check_index(${a[0]}, ${a[1]})`;
    case "cast":
      return cast(a[0]!, operand!, type);
    default:
  }
  const compare = COMPARE[op];
  if (compare !== undefined) {
    if (operand === "f") return `t_${op}(${a[0]}, ${a[1]})`;
    return operand === "b" && op !== "eq" && op !== "ne"
      ? `u32(${a[0]}) ${compare} u32(${a[1]})`
      : `${a[0]} ${compare} ${a[1]}`;
  }
  const infix = INFIX[op];
  if (infix !== undefined) return `${a[0]} ${infix} ${a[1]}`;
  if (operand === "f" && FLOAT_FUNCTIONS.has(op)) return `t_${op}(${a.join(", ")})`;
  const other = operand === undefined ? undefined : OTHER_FUNCTIONS[op]?.[operand];
  if (other !== undefined) return `${other}(${a.join(", ")})`;
  throw new DTypeError(`the primitive ${op} does not exist for values of type ${operand} on WebGPU`);
}

function cast(x: string, from: ValueType, to: ValueType): string {
  if (from === to) return x;
  if (to === "b") return from === "f" ? `t_nonzero(${x})` : `${x} != 0${from}`;
  if (from === "b") return to === "f" ? `select(0.0, 1.0, ${x})` : `select(0${to}, 1${to}, ${x})`;
  if (to === "f") return `f32(${x})`;
  if (from === "f") return `t_to_${to}(${x})`;
  return `bitcast<${wgslType(to)}>(${x})`;
}

/** The value of an element. */
export function loadElement(slot: BufferSlot, element: string): string {
  switch (slot.dtype) {
    case "float16":
      return `f32(${element})`;
    case "uint8":
      return `bitcast<i32>(${element})`;
    case "bool":
      return `${element} != 0u`;
    default:
      return element;
  }
}

/** A value as the element that holds it. */
export function storeElement(slot: BufferSlot, value: string): string {
  switch (slot.dtype) {
    case "float16":
      return `t_to_half(${value})`;
    case "uint8":
      return `bitcast<u32>(${value}) & 255u`;
    case "bool":
      return `select(0u, 1u, ${value})`;
    default:
      return value;
  }
}

/** How the partial results of a reduction are held and combined. */
export interface Reducer {
  /** Type of the accumulated values; `index` if positions go along with them. */
  readonly type: ValueType;
  readonly index: boolean;
  readonly initial: string;
  /** Turns an operand into what is accumulated. */
  operand(x: string): string;
  /** Combination of two partial results (without positions). */
  combine(a: string, b: string): string;
  /** For positions: whether the first beats the second. */
  beats(x: string, i: string, y: string, j: string): string;
}

/** The reducer of a kind over operands of a type. */
export function reducer(kind: ReduceKind, operand: ValueType): Reducer {
  const plain = (type: ValueType, initial: string, combine: (a: string, b: string) => string): Reducer => ({
    type,
    index: false,
    initial,
    operand: (x) => (operand === type ? x : `(${cast(x, operand, type)})`),
    combine,
    beats: () => "",
  });
  const or = (a: string, b: string): string => `${a} | ${b}`;
  const and = (a: string, b: string): string => `${a} & ${b}`;
  const isBool = operand === "b";
  switch (kind) {
    case "sum":
      return isBool ? plain("b", "false", or) : plain(operand, literal(0, operand), (a, b) => `${a} + ${b}`);
    case "prod":
      return isBool ? plain("b", "true", and) : plain(operand, literal(1, operand), (a, b) => `${a} * ${b}`);
    case "any":
      return plain("b", "false", or);
    case "all":
      return plain("b", "true", and);
    case "max":
    case "min": {
      if (isBool) return kind === "max" ? plain("b", "false", or) : plain("b", "true", and);
      const name = operand === "f" ? `t_${kind}` : kind;
      return plain(operand, extreme(kind, operand), (a, b) => `${name}(${a}, ${b})`);
    }
    case "argmax":
    case "argmin": {
      // Booleans are compared as 0 and 1.
      const type = isBool ? "u" : operand;
      const name = `t_${kind}_beats_${type}`;
      return {
        ...plain(type, extreme(kind === "argmax" ? "max" : "min", type), () => ""),
        index: true,
        beats: (x, i, y, j) => `${name}(${x}, ${i}, ${y}, ${j})`,
      };
    }
  }
}

/** What any operand beats, or equals. */
function extreme(kind: "max" | "min", type: ValueType): string {
  if (type === "f") return literal(kind === "max" ? -Infinity : Infinity, "f");
  if (type === "u") return kind === "max" ? "0u" : "4294967295u";
  return literal(kind === "max" ? -2147483648 : 2147483647, "i");
}

/** A value as the 32 bits in which lanes exchange it. */
export function toBits(value: string, type: ValueType): string {
  if (type === "b") return `select(0u, 1u, ${value})`;
  return type === "u" ? value : `bitcast<u32>(${value})`;
}

/** The value of 32 bits. */
export function fromBits(word: string, type: ValueType): string {
  if (type === "b") return `${word} != 0u`;
  return type === "u" ? word : `bitcast<${wgslType(type)}>(${word})`;
}
