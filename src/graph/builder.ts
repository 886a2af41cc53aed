/** Writes SSA lists: each method appends one instruction, or finds the same one written before. */

import type { DType } from "../dtype.ts";
import type { Instr, Primitive, ReduceKind, ValueType } from "./kernel.ts";

/** Position of an instruction in the list, standing for its value. */
export type Value = number;

/** Type in which elements of a dtype are computed. */
export function valueType(dtype: DType): ValueType {
  switch (dtype) {
    case "float64":
      return "d";
    case "float32":
    case "float16":
      return "f";
    case "bool":
      return "b";
    default:
      return "i";
  }
}

export class Builder {
  readonly instrs: Instr[] = [];
  readonly #known = new Map<string, Value>();

  emit(op: Primitive, type: ValueType, args: readonly Value[], imm?: number | ReduceKind): Value {
    const key = `${op}:${type}:${args.join(",")}:${imm === undefined ? "" : Object.is(imm, -0) ? "-0" : imm}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const value = this.instrs.length;
    this.instrs.push(imm === undefined ? { op, type, args } : { op, type, args, imm });
    this.#known.set(key, value);
    return value;
  }

  type(x: Value): ValueType {
    return this.instrs[x]!.type;
  }

  /** A number known to the lowering, in the type of `like`. Numbers that a user gives go through scalars instead. */
  lit(value: number, like: Value | ValueType): Value {
    return this.emit("const", typeof like === "string" ? like : this.type(like), [], value);
  }

  /** A one-operand operation that keeps its operand's type. */
  un(op: Primitive, x: Value): Value {
    return this.emit(op, this.type(x), [x]);
  }

  /** A two-operand operation that keeps its operands' type. */
  bin(op: Primitive, x: Value, y: Value): Value {
    return this.emit(op, this.type(x), [x, y]);
  }

  add(x: Value, y: Value): Value {
    return this.bin("add", x, y);
  }
  sub(x: Value, y: Value): Value {
    return this.bin("sub", x, y);
  }
  mul(x: Value, y: Value): Value {
    return this.bin("mul", x, y);
  }
  div(x: Value, y: Value): Value {
    return this.bin("div", x, y);
  }
  neg(x: Value): Value {
    return this.un("neg", x);
  }

  /** `eq ne lt le gt ge`: two numbers to bool. */
  compare(op: "eq" | "ne" | "lt" | "le" | "gt" | "ge", x: Value, y: Value): Value {
    return this.emit(op, "b", [x, y]);
  }

  /** `isnan` or `isinf`; false for anything but floats. */
  test(op: "isnan" | "isinf", x: Value): Value {
    const type = this.type(x);
    return type === "f" || type === "d" ? this.emit(op, "b", [x]) : this.lit(0, "b");
  }

  and(x: Value, y: Value): Value {
    return this.emit("and", "b", [x, y]);
  }
  or(x: Value, y: Value): Value {
    return this.emit("or", "b", [x, y]);
  }
  not(x: Value): Value {
    return this.emit("not", "b", [x]);
  }

  select(condition: Value, x: Value, y: Value): Value {
    return this.emit("select", this.type(x), [condition, x, y]);
  }

  cast(x: Value, type: ValueType): Value {
    return this.type(x) === type ? x : this.emit("cast", type, [x]);
  }

  /** Converts between the types of two dtypes, wrapping to a byte or rounding where the target has fewer values than its type. */
  convert(x: Value, from: DType, to: DType): Value {
    if (from === to) return x;
    if (to === "uint8") return from === "bool" ? this.cast(x, "i") : this.emit("wrap8", "i", [this.cast(x, "i")]);
    const value = this.cast(x, valueType(to));
    // bool and uint8 are float16 numbers as they are.
    return to === "float16" && from !== "bool" && from !== "uint8" ? this.un("roundHalf", value) : value;
  }
}
