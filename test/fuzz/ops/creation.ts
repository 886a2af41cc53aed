/** New tensors, conversions, random numbers, and writing. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, partner, shape, tensorOf, value } from "../given.ts";
import {
  broadcast,
  cast,
  convert,
  count,
  elementwise,
  expanded,
  isFloat,
  make,
  refuse,
  store,
  type Model,
} from "../model.ts";
import { form, perhaps, type Generator, type Sample, type Table } from "../sample.ts";

const TYPES: readonly DType[] = ["float32", "float64", "int32", "uint8", "bool"];

function optionalType(dice: Dice, types: readonly DType[] = TYPES): DType | null | undefined {
  return perhaps(dice, 0.5, () => (dice.chance(0.1) ? null : dice.pick(types)));
}

function filled(size: readonly number[], type: DType, v: number): Model {
  return make(size, type, () => convert("float64", type, v));
}

function sized(
  dice: Dice,
  size: readonly number[],
  options: Readonly<Record<string, unknown>>,
  expect: Sample["expect"],
): Sample {
  const named = Object.fromEntries(Object.entries(options).filter(([, v]) => v !== undefined));
  if (dice.chance(0.2)) return { args: [], options: { size: [...size], ...named }, expect };
  const args = dice.chance(0.5) ? [[...size]] : [...size];
  return Object.keys(named).length > 0 ? { args, options: named, expect } : { args, expect };
}

function constant(v: number): Generator {
  return (dice) => {
    const size = shape(dice);
    const type = optionalType(dice);
    if (dice.chance(0.03)) return { args: [...size, -1], expect: () => refuse("negative") };
    return sized(dice, size, { dtype: type }, () => filled(size, type ?? "float32", v));
  };
}

function like(v: number): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    const type = optionalType(dice);
    return form(dice, [x], [], { dtype: type }, () => filled(x.shape, type ?? x.dtype, v));
  };
}

function fill(dice: Dice, type: DType): number {
  return type === "bool" ? dice.int(0, 1) : value(dice, isFloat(type) ? type : "int32", "positive");
}

function to(type: DType): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    return { args: [x], expect: () => cast(x, type) };
  };
}

function castTo(name: "to" | "type"): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    const type = dice.pick(TYPES);
    if (dice.chance(0.05)) return { args: [x, "float"], expect: () => refuse("no dtype") };
    return name === "to" && dice.chance(0.3)
      ? { args: [x], options: { dtype: type }, expect: () => cast(x, type) }
      : { args: [x, type], expect: () => cast(x, type) };
  };
}

/** `tensor` of lists and typed arrays. */
const ofData: Generator = (dice) => {
  const size = shape(dice, 0, 3);
  const type = optionalType(dice);
  const kind = dice.pick(["numbers", "booleans", "typed"] as const);
  const values = Array.from({ length: count(size) }, () =>
    kind === "booleans" ? dice.int(0, 1) : dice.int(0, 20) / (type == null || isFloat(type) ? 4 : 1),
  );
  const own: DType = kind === "booleans" ? "bool" : "float32";
  const expect = (): Model =>
    make(size, type ?? own, () => 0).data.length === values.length
      ? { shape: size, dtype: type ?? own, data: values.map((v) => store(type ?? own, v)) }
      : refuse("size");
  if (type === "int32" && kind === "numbers" && values.length > 0 && dice.chance(0.1))
    return {
      args: [[...values, dice.pick([3e9, -3e9, NaN, Infinity])]],
      options: { dtype: type },
      expect: () => refuse("overflow"),
    };
  if (kind === "typed") return form(dice, [Float64Array.from(values)], [], { shape: size, dtype: type }, expect);
  let next = 0;
  const nest = (d: number): unknown =>
    d === size.length
      ? kind === "booleans"
        ? values[next++] === 1
        : values[next++]
      : Array.from({ length: size[d]! }, () => nest(d + 1));
  // A list without elements cannot tell the sizes behind the first empty one, nor its dtype.
  if (values.length === 0)
    return form(dice, [[]], [], { shape: size, dtype: type }, () => filled(size, type ?? "float32", 0));
  return form(dice, [nest(0)], [], { dtype: type }, expect);
};

/** New tensors, conversions, random numbers, writing. */
export const CREATION: Table = {
  tensor: ofData,
  asTensor: (dice) => {
    const type = optionalType(dice);
    if (dice.chance(0.3)) {
      const x = tensorOf(dice);
      return form(dice, [x], [], { dtype: type }, () => cast(x, type ?? x.dtype));
    }
    if (dice.chance(0.3)) return ofData(dice);
    const values = Array.from({ length: dice.int(0, 9) }, () => dice.int(0, 20));
    const [data, own] = dice.pick([
      [Float32Array.from(values), "float32"],
      [Int32Array.from(values), "int32"],
      [Uint8Array.from([99, ...values]).subarray(1), "uint8"],
    ] as const);
    return form(dice, [data], [], { dtype: type }, () => ({
      shape: [values.length],
      dtype: type ?? own,
      data: values.map((v) => store(type ?? own, v)),
    }));
  },
  zeros: constant(0),
  ones: constant(1),
  empty: (dice) => ({ ...constant(0)(dice) }),
  full: (dice) => {
    const size = shape(dice);
    const type = optionalType(dice);
    const fillValue = dice.chance(0.2) ? dice.chance(0.5) : fill(dice, type ?? "float32");
    if ((type === "int32" || type === "uint8") && dice.chance(0.1))
      return { args: [size, dice.pick([3e9, NaN, -3e9])], options: { dtype: type }, expect: () => refuse("overflow") };
    return form(dice, [size], ["fillValue"], { fillValue, dtype: type }, () =>
      filled(size, type ?? (typeof fillValue === "boolean" ? "bool" : "float32"), Number(fillValue)),
    );
  },
  zerosLike: like(0),
  onesLike: like(1),
  emptyLike: like(0),
  fullLike: (dice) => {
    const x = tensorOf(dice);
    const fillValue = fill(dice, x.dtype);
    return { args: [x, fillValue], expect: () => filled(x.shape, x.dtype, fillValue) };
  },
  newFull: (dice) => {
    const x = tensorOf(dice);
    const size = shape(dice);
    const fillValue = fill(dice, x.dtype);
    return { args: [x, size, fillValue], expect: () => filled(size, x.dtype, fillValue) };
  },
  newZeros: (dice) => {
    const x = tensorOf(dice);
    const size = shape(dice);
    return { args: [x, size], expect: () => filled(size, x.dtype, 0) };
  },
  newOnes: (dice) => {
    const x = tensorOf(dice);
    const size = shape(dice);
    return { args: [x, size], expect: () => filled(size, x.dtype, 1) };
  },
  arange: (dice) => {
    const start = dice.int(-8, 8) / 4;
    const end = dice.int(-8, 20) / 4;
    const step = perhaps(dice, 0.5, () => dice.pick([1, 0.5, 2, -1, 0.25, 0]));
    const type = perhaps(dice, 0.3, () => dice.pick(["float32", "float64"] as const));
    if (dice.chance(0.2))
      return { args: [end], expect: () => (end < 0 ? refuse("sign") : make([Math.ceil(end)], "float32", ([i]) => i!)) };
    return form(dice, [start], ["end", "step"], { end, step, dtype: type }, () => {
      const by = step ?? 1;
      if (by === 0 || (end - start) * by < 0) refuse("step");
      return make([Math.ceil((end - start) / by)], type ?? "float32", ([i]) => start + i! * by);
    });
  },
  linspace: (dice) => spaced(dice, null),
  logspace: (dice) => spaced(dice, dice.pick([10, 2])),
  eye: (dice) => {
    const n = dice.int(dice.chance(0.03) ? -1 : 0, 6);
    const m = perhaps(dice, 0.5, () => (dice.chance(0.2) ? null : dice.int(0, 6)));
    const type = optionalType(dice);
    return form(dice, [n], ["m"], { m, dtype: type }, () =>
      n < 0 ? refuse("negative") : make([n, m ?? n], type ?? "float32", ([i, j]) => (i === j ? 1 : 0)),
    );
  },

  to: castTo("to"),
  type: castTo("type"),
  typeAs: (dice) => {
    const x = tensorOf(dice);
    const other = tensorOf(dice);
    return { args: [x, other], expect: () => cast(x, other.dtype) };
  },
  float: to("float32"),
  double: to("float64"),
  int: to("int32"),
  long: to("int32"),
  byte: to("uint8"),
  bool: to("bool"),
  cpu: (dice) => {
    const x = tensorOf(dice);
    return { args: [x], expect: () => x };
  },

  rand: drawn,
  randn: drawn,
  randLike: (dice) => ({ args: [tensorOf(dice, { dtype: "float32" })], expect: null }),
  randnLike: (dice) => ({ args: [tensorOf(dice, { dtype: "float32" })], expect: null }),
  randint: (dice) => {
    const low = dice.int(-5, 5);
    const high = low + dice.int(dice.chance(0.05) ? -1 : 1, 10);
    const size = shape(dice, 0, 3);
    if (high <= low) return { args: [low, high, size], expect: () => refuse("range") };
    return { args: [low, high, size], expect: null };
  },
  randperm: (dice) => {
    const n = dice.int(dice.chance(0.05) ? -1 : 0, 20);
    return n < 0 ? { args: [n], expect: () => refuse("negative") } : { args: [n], expect: null };
  },
  // Certain outcomes are foretold.
  bernoulli: (dice) => {
    const size = shape(dice);
    const p = tensorOf(dice, { shape: size, dtype: "float32", values: "unit" });
    if (dice.chance(0.5)) return { args: [p], expect: null };
    const sure = dice.int(0, 1);
    return { args: [p, sure], expect: () => filled(size, "float32", sure) };
  },
  normal: (dice) => {
    const size = shape(dice);
    if (dice.chance(0.3)) return { args: [dice.int(-3, 3), 0, size], expect: null };
    const mean = tensorOf(dice, { shape: size, dtype: "float32", values: "plain" });
    return { args: [mean, 0], expect: () => mean };
  },

  copy_: (dice) => {
    const x = tensorOf(dice, { views: dice.chance(0.2) });
    const source = tensorOf(dice, { shape: partner(dice, x.shape) });
    return {
      args: [x, source],
      expect: () => {
        if (x.overlaps || broadcast(source.shape, x.shape).join() !== x.shape.join()) refuse("shape");
        return cast(expanded(source, x.shape), x.dtype);
      },
    };
  },
  fill_: (dice) => {
    const x = tensorOf(dice, { views: dice.chance(0.2) });
    const v = fill(dice, x.dtype);
    return { args: [x, v], expect: () => (x.overlaps ? refuse("overlap") : filled(x.shape, x.dtype, v)) };
  },
  zero_: (dice) => {
    const x = tensorOf(dice, { views: dice.chance(0.2) });
    return { args: [x], expect: () => (x.overlaps ? refuse("overlap") : filled(x.shape, x.dtype, 0)) };
  },
  uniform_: written(),
  normal_: written(),
  bernoulli_: (dice) => {
    const x = tensorOf(dice, { views: false });
    const p = dice.int(0, 1);
    return { args: [x, p], expect: () => filled(x.shape, x.dtype, p) };
  },
  resultType: (dice) => ({ args: [tensorOf(dice), tensorOf(dice)], expect: null }),
};

function written(): Generator {
  return (dice) => {
    const x = tensorOf(dice, { views: false, dtype: dtype(dice, ["float32", "int32"]) });
    return { args: [x], expect: isFloat(x.dtype) ? null : () => refuse("integers") };
  };
}

function drawn(dice: Dice): Sample {
  const size = shape(dice);
  const type = perhaps(dice, 0.3, () => dice.pick(["float32", "int32"] as const));
  return sized(dice, size, { dtype: type }, type === "int32" ? () => refuse("integers") : null);
}

function spaced(dice: Dice, base: number | null): Sample {
  const start = dice.int(-8, 8) / 4;
  const end = dice.int(-8, 8) / 4;
  const steps = dice.int(dice.chance(0.04) ? -1 : 0, 9);
  const type = perhaps(dice, 0.2, () => "float64" as const);
  const given = base === null || base === 10 ? {} : { base };
  return form(
    dice,
    [start],
    ["end", "steps", "base"],
    { end, steps, ...given, dtype: type },
    () => {
      if (steps < 0) refuse("steps");
      return elementwise(
        [make([steps], "float64", ([i]) => (steps === 1 ? start : start + ((end - start) * i!) / (steps - 1)))],
        "float64",
        type ?? "float32",
        (v) => (base === null ? v : base ** v),
      );
    },
    { loose: 3 },
  );
}
