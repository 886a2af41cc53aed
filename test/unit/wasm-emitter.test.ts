/** The assembler for WebAssembly modules. */

import { describe, expect, test } from "vitest";
import { ModuleBuilder, type FunctionBuilder, type Local, type WasmType } from "../../src/backend/cpu/wasm/emitter.ts";
import { OPS, type OpName } from "../../src/backend/cpu/wasm/opcodes.ts";

type Exported = Record<string, (...args: number[]) => number>;

function open(module: ModuleBuilder, imports: Record<string, WebAssembly.ImportValue> = {}): Exported {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const compiled = new WebAssembly.Module(module.bytes());
  return new WebAssembly.Instance(compiled, { m: { memory, ...imports } }).exports as Exported;
}

/** Runs `body` as a function of i32 numbers. */
function evaluate(args: readonly number[], result: WasmType, body: (f: FunctionBuilder) => void): number {
  const module = new ModuleBuilder(false);
  body(
    module.function(
      "f",
      args.map((): WasmType => "i32"),
      result,
    ),
  );
  return open(module)["f"]!(...args);
}

const LETTERS: Readonly<Record<string, WasmType>> = { i: "i32", l: "i64", f: "f32", d: "f64", v: "v128" };

describe("instructions", () => {
  test.each(Object.keys(OPS) as OpName[])("%s is what the engine knows by that number and type", (name) => {
    const [, operands, result, immediate] = OPS[name];
    const module = new ModuleBuilder(false);
    const f = module.function(
      "f",
      Array.from(operands, (letter) => LETTERS[letter]!),
    );
    const imm = { mem: [8], lane: [1], memlane: [8, 1], bytes: Array.from({ length: 16 }, (_, i) => 31 - i) };
    const given = immediate === undefined ? [] : imm[immediate];
    if (result === "") f.effect(name, f.args, ...given);
    else f.op(name, f.args, ...given);
    expect(WebAssembly.validate(module.bytes())).toBe(true);
    if (operands.length > 0) expect(() => f.effect(name, f.args.slice(1))).toThrow(`${name} takes`);
  });

  test("operands of another type are refused as they are written", () => {
    const f = new ModuleBuilder(false).function("f", ["i32", "v128"]);
    expect(() => f.op("i32.add", [f.args[0]!, f.args[1]!])).toThrow("operand 1 of i32.add is v128, not i32");
    expect(() => f.assign(f.args[1]!, "i32.add", [f.args[0]!, f.args[0]!])).toThrow("i32.add gives i32");
    expect(() => f.copy(f.args[0]!, f.args[1]!)).toThrow("v128 cannot be copied to i32");
    expect(() => f.effect("i32.eqz", [f.args[0]!])).toThrow("has a result");
    expect(() => f.op("i32.store", [f.args[0]!, f.args[0]!])).toThrow("has no result");
  });
});

describe("interleaved bodies", () => {
  test("give what they give one after the other", () => {
    const body = (f: FunctionBuilder, x: number) => (): Local => {
      const y = f.op("i32.mul", [f.args[0]!, f.const("i32", x)]);
      const chosen = f.variable(x);
      f.if(f.op("i32.gt_s", [y, f.const("i32", 10)]), () => f.add(chosen, y));
      f.block((out) => {
        f.branch(out, f.op("i32.lt_s", [y, f.const("i32", 7)]));
        f.add(chosen, 1000);
      });
      return f.select(chosen, f.op("i32.add", [chosen, y]), y);
    };
    const sum = (write: (f: FunctionBuilder, bodies: (() => Local)[]) => Local[]): number =>
      evaluate([4], "i32", (f) => {
        const [a, b, c] = write(
          f,
          [1, 2, 5].map((x) => body(f, x)),
        );
        f.return(f.op("i32.add", [f.op("i32.mul", [a!, b!]), c!]));
      });
    const apart = sum((_, bodies) => bodies.map((run) => run()));
    expect(apart).toBe((4 + 1) * (8 + 1002) + 20 + 1025);
    expect(sum((f, bodies) => f.interleave(bodies))).toBe(apart);
  });

  test("of different lengths are whole, and what follows is, too", () => {
    const result = evaluate([3, 4], "i32", (f) => {
      const [x, y] = f.args as [Local, Local];
      const before = f.op("i32.add", [x, y]);
      const [a, b] = f.interleave([
        () => f.op("i32.mul", [before, before]),
        () => f.op("i32.sub", [f.op("i32.add", [before, x]), f.op("i32.mul", [y, y])]),
      ]);
      f.return(f.op("i32.add", [a!, b!]));
    });
    expect(result).toBe(49 + (7 + 3 - 16));
  });

  test("take turns", () => {
    const code = (isTurned: boolean): string => {
      const module = new ModuleBuilder(false);
      const f = module.function("f", ["i32"]);
      const bodies = [1, 2].map((x) => () => f.effect("i32.store", [f.args[0]!, f.const("i32", x)]));
      if (isTurned) f.interleave(bodies);
      else for (const body of bodies) body();
      return module.bytes().join();
    };
    // local.set 1 (0x21 1) of the first is followed by the constant 2 (0x41 2) of the second.
    expect(code(true)).toContain("33,1,65,2");
    expect(code(false)).not.toContain("33,1,65,2");
  });
});

describe("code", () => {
  test.each([0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 8192, 2 ** 31 - 1, -(2 ** 31)])("constant %i", (value) => {
    expect(evaluate([], "i32", (f) => f.return(f.const("i32", value)))).toBe(value);
  });

  test.each([0.1, -0, Infinity, 1e-320])("constant %d of float64", (value) => {
    expect(evaluate([], "f64", (f) => f.return(f.const("f64", value)))).toBe(value);
  });

  test("vector constants have lanes, and are set once", () => {
    const lanes = evaluate([], "f64", (f) => {
      const v = f.vector("f64x2", 1.5, 2.5);
      expect(f.vector("f64x2", 1.5, 2.5)).toBe(v);
      f.return(f.op("f64.sub", [f.op("f64x2.extract_lane", [v], 1), f.op("f64x2.extract_lane", [v], 0)]));
    });
    expect(lanes).toBe(1);
  });

  test("a value that is used at once and again later", () => {
    const square = evaluate([7], "i32", (f) => {
      const x = f.op("i32.add", [f.args[0]!, f.const("i32", 1)]);
      const y = f.op("i32.mul", [x, x]);
      f.return(f.op("i32.add", [y, x]));
    });
    expect(square).toBe(72);
  });

  test.each([
    [0, 0, 0],
    [0, 5, 10],
    [3, 10, 3 + 5 + 7 + 9],
    [5, 3, 0],
  ])("a loop from %i to %i in steps of two", (start, end, want) => {
    const sum = evaluate([start, end], "i32", (f) => {
      const total = f.local("i32");
      const step = start === 3 ? 2 : 1;
      f.forLoop(f.args[0]!, f.args[1]!, step, () => f.assign(total, "i32.add", [total, f.args[0]!]));
      f.return(total);
    });
    expect(sum).toBe(want);
  });

  test("branches leave nested blocks", () => {
    const body = (f: FunctionBuilder): void => {
      const result = f.const("i32", 1);
      f.block((outer) => {
        f.block(() => {
          f.if(f.args[0]!, () => f.branch(outer));
          f.setConst(result, 2);
        });
        f.setConst(result, 3);
      });
      f.return(result);
    };
    expect(evaluate([1], "i32", body)).toBe(1);
    expect(evaluate([0], "i32", body)).toBe(3);
  });

  test("either branch of an if, and select", () => {
    const body = (f: FunctionBuilder): void => {
      const result = f.local("i32");
      f.if(
        f.args[0]!,
        () => f.setConst(result, 10),
        () => f.setConst(result, 20),
      );
      f.return(f.op("i32.add", [result, f.select(f.args[0]!, f.const("i32", 1), f.const("i32", 2))]));
    };
    expect(evaluate([5], "i32", body)).toBe(11);
    expect(evaluate([0], "i32", body)).toBe(22);
  });

  test("imported functions are called, whenever they were asked for", () => {
    const module = new ModuleBuilder(false);
    const first = module.function("first", ["f64"], "f64");
    first.return(first.call(module.import("double", ["f64"], "f64"), first.args)!);
    const second = module.function("second", ["f64"], "f64");
    const half = module.import("half", ["f64"], "f64");
    second.return(second.call(half, [second.call(module.import("double", ["f64"], "f64"), second.args)!])!);
    expect(module.importNames).toEqual(["double", "half"]);
    const { first: f, second: g } = open(module, { double: (x: number) => 2 * x, half: (x: number) => x / 2 });
    expect(f!(3)).toBe(6);
    expect(g!(3)).toBe(3);
    expect(() => second.call(first, [second.args[0]!])).toThrow("not an imported function");
    expect(() => second.call(half, [second.const("i32", 1)])).toThrow("argument 0 of half is i32");
  });

  test("a module for shared memory takes only that", () => {
    const module = new ModuleBuilder(true);
    module.function("f", []);
    const compiled = new WebAssembly.Module(module.bytes());
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 10, shared: true });
    expect(() => new WebAssembly.Instance(compiled, { m: { memory } })).not.toThrow();
    const own = new WebAssembly.Memory({ initial: 1, maximum: 10 });
    expect(() => new WebAssembly.Instance(compiled, { m: { memory: own } })).toThrow(WebAssembly.LinkError);
  });
});
