/** Memory of ordinary loops is flat, and handles that are still held read what they should. */

import * as tg from "#tapegrad";
import { LOOPS } from "../support/loops.ts";
import {
  ensure,
  expectClose,
  expectEqual,
  expectIdentical,
  expectThrows,
  suite,
  type PortableTest,
} from "../support/portable.ts";

const tests: Record<string, PortableTest> = {};

for (const [name, make] of Object.entries(LOOPS))
  tests[`live bytes are flat: ${name}`] = {
    timeout: 120_000,
    run: async () => {
      const turn = make();
      const live: number[] = [];
      for (let step = 0; step < 24; step++) {
        await turn(step);
        live.push(tg.memory().liveBytes);
      }
      // What earlier tests left behind may go meanwhile, so it may become less.
      const more = live.slice(12).filter((bytes) => bytes > live[11]!);
      expectEqual(more, [], `live bytes beyond the ${live[11]} after 12 steps`);
    },
  };

/** Keys of operations, which users never see. */
const INTERNAL = /float32[,>:]|:n\b|\/\d/;

/** Two parameters, and a loss of them. */
function fitting(): { w: tg.Tensor; x: tg.Tensor; optimizer: tg.optim.SGD } {
  const w = tg.tensor([1, 2, 3], { requiresGrad: true });
  return { w, x: tg.tensor([0.5, -1, 2]), optimizer: new tg.optim.SGD([w], { lr: 0.5 }) };
}

function train({ w, x, optimizer }: ReturnType<typeof fitting>, rows = 64): { y: tg.Tensor; loss: tg.Tensor } {
  const big = tg.ones(rows, 3);
  const y = big.mul(w.mul(x));
  const loss = y.sum().div(rows);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  return { y, loss };
}

Object.assign(tests, {
  "a value is read after the step that overwrote its source": async () => {
    const model = fitting();
    const { y, loss } = train(model);
    expectClose(await y.at(0).toArray(), [0.5, -2, 6]);
    expectClose(await loss.item(), 4.5);
    expectClose(await model.w.detach().toArray(), [0.75, 2.5, 2]);
  },

  "what is read after each step is written out from then on": async () => {
    const model = fitting();
    for (let i = 0; i < 4; i++) {
      const before = await model.w.detach().clone().toArray();
      const { y } = train(model);
      expectClose(
        await y.at(0).toArray(),
        (before as number[]).map((w, j) => w * [0.5, -1, 2][j]!),
      );
    }
  },

  "losses are kept for as long as somebody holds them": async () => {
    const model = fitting();
    const losses: tg.Tensor[] = [];
    for (let i = 0; i < 30; i++) losses.push(train(model).loss.detach());
    const values = await Promise.all(losses.map((l) => l.item()));
    // Each step takes 0.5 x^2 = 2.625 off the loss.
    expectClose(
      values,
      values.map((_, i) => 4.5 - 2.625 * i),
    );
  },

  "after the second step a value says where it went, and retain() keeps it": async () => {
    const model = fitting();
    // A shape of its own: elsewhere it was learned that y is read.
    train(model, 33);
    // (From the first step's parameters, which the host knows, it could be computed at any time.)
    const { y } = train(model, 33);
    const kept = train(model, 33).y.retain();
    await tg.synchronize();
    train(model, 33);
    train(model, 33);
    const error = await expectThrows(() => y.data(), "DisposedError");
    ensure(error.message.includes("retain()"), `it should name the way out: ${error.message}`);
    ensure(
      error.message.includes("the result of mul, of shape [33, 3]"),
      `it should say what is gone: ${error.message}`,
    );
    ensure(error.message.includes("setDebugMode(true)"), `it should say how to learn where: ${error.message}`);
    ensure(!INTERNAL.test(error.message), `it should name nothing internal: ${error.message}`);
    const text = String(y);
    ensure(text.includes("shape=[33, 3]") && text.includes("gone: "), `it should say that it is gone: ${text}`);
    expectClose(await kept.at(0).toArray(), [0.25, -3, 2]);
  },

  "in debug mode it also says where it was made, and where its source was overwritten": async () => {
    tg.setDebugMode(true);
    try {
      const model = fitting();
      train(model, 34);
      const { y } = train(model, 34);
      train(model, 34);
      train(model, 34);
      const { message } = await expectThrows(() => y.data(), "DisposedError");
      const sites = [...message.matchAll(/at (?:[^\s]+ \()?([^\s()]+):(\d+):\d+/g)].map(
        ([, file, line]) => `${file}:${line}`,
      );
      ensure(sites.length === 3, `it should name three lines: ${message}`);
      ensure(!message.includes("/src/"), `it should name no line of the library: ${message}`);
      const [made, before, overwritten] = sites;
      ensure(
        made !== before && before === overwritten,
        `y, then the step that made its source and took it: ${message}`,
      );
      const parameter = tg.memorySnapshot().find((v) => v.owner === "parameter" && v.site !== null);
      ensure(parameter?.site?.includes(before!) === true, `made by the step at ${before}: ${parameter?.site}`);
    } finally {
      tg.setDebugMode(false);
    }
    expectEqual(tg.isDebugModeEnabled(), false, "the debug mode is off again");
    tg.tensor([1, 2]).mul(2).retain();
    await tg.synchronize();
    await expectThrows(() => tg.setDebugMode(1 as unknown as boolean), "ArgumentError");
  },

  "a snapshot lists what has memory and why, and adds up": async () => {
    const w = tg.rand(40, 30).requiresGrad_();
    const optimizer = new tg.optim.Adam([w], { lr: 0.1 });
    for (let i = 0; i < 3; i++) {
      optimizer.zeroGrad();
      tg.ones(50, 40).matmul(w).exp().mean().backward();
      optimizer.step();
    }
    const kept = tg.rand(7, 11).mul(2).retain();
    const read = tg.rand(50, 40).matmul(w).exp().sum();
    await read.item();
    const pending = tg.rand(13, 17).mul(w.sum());
    const all = tg.memorySnapshot();
    const count = (owner: string, shape: string): number =>
      all.filter((v) => v.owner === owner && v.shape.join() === shape).length;
    expectEqual(count("parameter", "40,30"), 2, "the parameter and its last version");
    expectEqual(all.filter((v) => v.shape.join() === "40,30" && v.isPrevious).length, 1, "the last version");
    expectEqual(count("optimiser state", "40,30"), 2, "both moments");
    expectEqual(count("gradient", "40,30"), 1, "the gradient");
    expectEqual(count("retained", "7,11"), 1, "what was asked to be retained");
    ensure(count("saved for backward", "50,30") >= 1, "exp's result, for a backward that has not come");
    expectEqual(
      all.filter((v) => v.shape.join() === "13,17" && v.operation === "mul").map((v) => v.owner),
      ["pending"],
      "what is recorded and not computed",
    );
    const { liveBytes, cachedBytes } = tg.memory();
    const bytes = all.filter((v) => v.owner !== "pending").reduce((sum, v) => sum + v.bytes, 0);
    expectEqual(bytes, liveBytes + cachedBytes, "bytes of all values");
    ensure(
      all.filter((v) => v.shape.join() === "40,30").every((v) => v.site === null),
      "no lines without the debug mode",
    );
    expectEqual([(await kept.data()).length, (await pending.data()).length], [77, 221], "both are there");
  },

  "an index that is out of bounds is named with its operation and the size": async () => {
    const logits = tg.rand(4, 3);
    const classes = Int32Array.from([0, 1, 2, 7]);
    await expectThrows(
      () => tg.F.crossEntropy(logits, tg.tensor(classes)),
      "crossEntropy: target 7 is out of bounds: there are 3 classes, 0 to 2",
    );
    // A view of the targets that leaves the wrong one out is right, and so is an index to ignore.
    ensure(
      Number.isFinite(await tg.F.crossEntropy(logits.narrow(0, 0, 3), tg.tensor(classes).narrow(0, 0, 3)).item()),
      "",
    );
    ensure(Number.isFinite(await tg.F.crossEntropy(logits, tg.tensor(classes), { ignoreIndex: 7 }).item()), "");
    const computed = (): tg.Tensor => tg.rand(5).mul(0).add(7).to("int32");
    for (const [name, run] of [
      ["crossEntropy", () => tg.F.crossEntropy(tg.rand(5, 3), computed())],
      ["gather", () => tg.rand(5, 3).gather(1, computed().unsqueeze(1))],
      ["indexAdd", () => tg.zeros(3).indexAdd(0, computed(), tg.ones(5))],
    ] as const) {
      const { message } = await expectThrows(() => run().data(), "IndexError");
      ensure(message.includes(`${name}: an index is out of bounds for size 3`), message);
      ensure(!INTERNAL.test(message), message);
    }
  },

  "a value is read after its source was overwritten in place, however often": async () => {
    const x = tg.rand(100_000);
    const before = Array.from((await x.data()) as Float32Array);
    const kept: tg.Tensor[] = [];
    for (let i = 0; i < 5; i++) {
      kept.push(x.mul(2));
      x.add_(1);
      await x.sum().item();
    }
    for (const [i, tensor] of kept.entries()) {
      const values = (await tensor.data()) as Float32Array;
      for (const j of [0, 5000, 99_999]) expectClose(values[j], 2 * (before[j]! + i));
    }
  },

  "copies, metrics and statistics that nobody read outlive any number of steps": async () => {
    const model = fitting();
    train(model);
    const best = model.w.detach().clone();
    const sums: tg.Tensor[] = [];
    for (let i = 0; i < 4; i++) {
      train(model);
      sums.push(tg.noGrad(() => model.w.mul(2).sum()));
    }
    expectClose(await best.toArray(), [0.75, 2.5, 2]);
    // Each step takes 0.5 (0.5 - 1 + 2) off the sum of the parameters.
    expectClose(await Promise.all(sums.map((s) => s.item())), [9, 7.5, 6, 4.5]);
  },

  "what is carried on in place outlives any number of steps, from its first write on": async () => {
    const model = fitting();
    const average = tg.zeros(3);
    const expected = [0, 0, 0];
    for (let i = 0; i < 5; i++) {
      const w = (await model.w.detach().clone().toArray()) as number[];
      const { y } = train(model, 37);
      // Recorded behind the step, and read only as a part of something else.
      average.mul_(0.5).add_(y.detach().mean(0));
      await average.square().sum().item();
      w.forEach((value, j) => (expected[j] = 0.5 * expected[j]! + value * [0.5, -1, 2][j]!));
    }
    expectClose(await average.toArray(), expected);
  },

  "many steps with data of their own are recorded before anything is read": async () => {
    const rows = 40;
    let average = tg.zeros(300);
    let expected = 0;
    const before = tg.memory();
    tg.resetPeakMemory();
    for (let i = 0; i < 60; i++) {
      const batch = tg.tensor(new Float32Array(rows * 300).fill(i), { shape: [rows, 300] });
      average = average.mul(0.5).add(batch.mean(0));
      expected = expected * 0.5 + i;
    }
    const values = (await average.data()) as Float32Array;
    for (const j of [0, 150, 299]) expectClose(values[j], expected);
    // All of the data would be 2.9 MB.
    const used = tg.memory().peakBytes - before.liveBytes - before.cachedBytes - before.pooledBytes;
    ensure(used < 1e6, `the data came over one after the other, in ${used} bytes`);
  },

  "what an optimiser replaces is written over, and what was made of it before is not": async () => {
    const w = tg.rand(50, 20).requiresGrad_();
    const optimizer = new tg.optim.Adam([w], { lr: 0.1 });
    const moments: tg.Tensor[] = [];
    const seen: number[] = [];
    let first = 0;
    for (let i = 0; i < 4; i++) {
      optimizer.zeroGrad();
      w.mul(i + 1)
        .sum()
        .backward();
      optimizer.step();
      const { expAvg } = optimizer.state.get(w)! as { expAvg: tg.Tensor };
      moments.push(expAvg.mul(1), expAvg.detach().clone());
      first = 0.9 * first + 0.1 * (i + 1);
      seen.push(first, first);
    }
    expectClose(await Promise.all(moments.map((m) => m.at(7, 3).item())), seen);
    // Without readers, there is one buffer for each moment, also while it is updated.
    const v = tg.rand(500, 40).requiresGrad_();
    const alone = new tg.optim.Adam([v], { lr: 0.1 });
    const sizes: number[] = [];
    for (let i = 0; i < 4; i++) {
      alone.zeroGrad();
      v.square().sum().backward();
      tg.resetPeakMemory();
      alone.step();
      sizes.push(tg.memory().peakBytes);
    }
    const { liveBytes, cachedBytes, pooledBytes } = tg.memory();
    ensure(sizes[3]! <= (liveBytes + cachedBytes + pooledBytes) * 1.05, `a step peaks at ${sizes[3]} bytes`);
    const state = tg
      .memorySnapshot()
      .filter((s) => s.owner === "optimiser state" && s.shape.join() === "500,40" && s.device === v.device);
    expectEqual(
      state.map((s) => s.isPrevious),
      [false, false],
      "each moment is there once",
    );
  },

  "a gradient is read after zeroGrad": async () => {
    const model = fitting();
    train(model);
    const { grad } = model.w;
    model.optimizer.zeroGrad();
    expectClose(await grad!.toArray(), [0.5, -1, 2]);
  },

  "disposed tensors are gone, what was made of them is not": async () => {
    const x = tg.tensor([1, 2, 3]);
    const y = x.mul(2);
    const z = y.add(1);
    const same = y.clone();
    y.dispose();
    expectClose(await same.toArray(), [2, 4, 6], {}, "it shares memory with the one that was disposed of");
    const w = x.mul(3);
    const v = w.sub(1);
    w.dispose();
    await expectThrows(() => w.data(), "it was disposed of");
    ensure(/gone: it was disposed of/.test(String(w)), `it should say that it is gone: ${String(w)}`);
    expectClose(await v.toArray(), [2, 5, 8]);
    expectClose(await z.toArray(), [3, 5, 7]);
    expectClose(await x.toArray(), [1, 2, 3]);
    let gone: tg.Tensor;
    {
      using inner = x.mul(4);
      gone = inner;
      expectClose(await inner.toArray(), [4, 8, 12]);
    }
    await expectThrows(() => gone.data(), "DisposedError");
    w.dispose();
  },

  "a scope lets go of what it made and does not give": async () => {
    const x = tg.rand(1000);
    const total = await x.sum().item();
    const average = tg.zeros(1000);
    const inner: tg.Tensor[] = [];
    await tg.synchronize();
    const result = tg.scope(() => {
      const y = x.mul(2);
      const host = tg.tensor([1, 2, 3]);
      inner.push(y, host, y.add(1));
      average.add_(y);
      return { list: [y.exp().log().sum()], view: y.at(tg.slice(0, 3)), shared: x.clone(), number: 3, text: "a" };
    });
    for (const tensor of inner.slice(1)) await expectThrows(() => tensor.data(), /made in a scope\(\) that ended/);
    expectClose(await result.list[0]!.item(), 2 * total, { rtol: 1e-4 });
    expectClose(
      Array.from((await result.view.data()) as Float32Array),
      Array.from(((await x.data()) as Float32Array).slice(0, 3), (v) => 2 * v),
    );
    expectClose(await average.sum().item(), 2 * total, { rtol: 1e-4 });
    expectClose(await result.shared.sum().item(), total, { rtol: 1e-4 });
    expectEqual([result.number, result.text], [3, "a"], "the rest of what it gives");
  },

  "a scope keeps state and what a backward will need, and can be asynchronous, nested or a guard": async () => {
    const w = tg.tensor([1, 2, 3], { requiresGrad: true });
    const optimizer = new tg.optim.Adam([w], { lr: 0.1 });
    for (let i = 0; i < 3; i++)
      tg.scope(() => {
        optimizer.zeroGrad();
        w.mul(tg.tensor([1, 1, 2]))
          .square()
          .sum()
          .backward();
        optimizer.step();
      });
    expectClose(await w.grad!.at(0).item(), 2 * (1 - 0.2), { rtol: 1e-2 });
    const loss = tg.scope(() => w.exp().sin().mul(w.tanh()).sum());
    w.grad = null;
    loss.backward();
    const expected = w.detach().clone().requiresGrad_();
    expected.exp().sin().mul(expected.tanh()).sum().backward();
    expectClose(await w.grad!.toArray(), await expected.grad!.toArray());
    let outer: tg.Tensor | null = null;
    const value = await tg.scope(async () => {
      const a = tg.tensor([2]).mul(3);
      outer = tg.scope(() => a.add(1));
      expectClose(await outer.toArray(), [7]);
      return (await outer.mul(a).item()) + 1;
    });
    expectClose(value, 43);
    await expectThrows(() => outer!.data(), "DisposedError");
    let kept: tg.Tensor;
    let lost: tg.Tensor;
    {
      using s = tg.scope();
      lost = tg.rand(5);
      kept = s.keep(tg.arange(3).mul(2));
    }
    expectClose(await kept.toArray(), [0, 2, 4]);
    await expectThrows(() => lost.data(), "DisposedError");
    await expectThrows(
      () =>
        tg.scope(() => {
          lost = tg.rand(2);
          throw new RangeError("mine");
        }),
      "mine",
    );
    await expectThrows(() => lost.data(), "DisposedError");
    const first = tg.scope();
    const second = tg.scope();
    await expectThrows(() => first.exit(), "scopes overlap");
    second.exit();
    expectClose(await tg.ones(2).sum().item(), 2);
  },

  "a timeline tells the life of every buffer of a training step": async () => {
    const w = tg.rand(100, 60).requiresGrad_();
    const optimizer = new tg.optim.Adam([w], { lr: 0.01 });
    const step = async (): Promise<number> => {
      const x = tg.tensor(new Float32Array(80 * 100).fill(0.5), { shape: [80, 100] });
      const loss = x.matmul(w).square().sum();
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return loss.item();
    };
    for (let i = 0; i < 3; i++) await step();
    const { steps, buffers, peakBytes, peakAt, result, device } = await tg.memoryTimeline(step);
    ensure(result > 0 && device === tg.currentDevice().type, "what the step gave, and where");
    ensure(
      steps.some((s) => s.kind === "upload" && s.operations.includes("tensor")),
      "the batch came over",
    );
    ensure(
      steps.some((s) => s.kind === "kernel" && s.phase === "forward" && s.operations.includes("matmul")),
      "forward",
    );
    ensure(
      steps.some((s) => s.kind === "kernel" && s.phase === "backward"),
      "backward",
    );
    ensure(
      steps.some((s) => s.kind === "kernel" && s.phase === "step"),
      "the optimiser",
    );
    const phases = steps.filter((s) => s.kind === "kernel").map((s) => s.phase);
    expectEqual([phases[0], phases.at(-1)], ["forward", "step"], "the first and the last kernel");
    const withShape = (shape: string, owner: string): tg.TimelineBuffer[] =>
      buffers.filter((b) => b.values.some((v) => v.shape.join() === shape && v.owner === owner));
    expectEqual(withShape("100,60", "optimiser state").length, 2, "two moments, each in one buffer");
    ensure(
      withShape("100,60", "optimiser state").every((b) => b.isOld && b.to === null),
      "they were there before, and still are",
    );
    ensure(
      withShape("100,60", "parameter").some((b) => !b.isOld && b.to === null),
      "the new parameter",
    );
    ensure(withShape("100,60", "gradient").length >= 1, "the gradient");
    ensure(withShape("80,60", "saved for backward").length >= 1, "what square saved");
    for (const b of buffers) {
      ensure(b.from <= (b.to ?? steps.length), `a buffer's life goes forward: ${b.from} to ${b.to}`);
      ensure(b.to === null || b.reusedBy === null || buffers[b.reusedBy]!.from >= b.to, "memory is used again after");
      for (const v of b.values) ensure(v.from <= v.to && v.to < Math.max(steps.length, 1), `${v.from} to ${v.to}`);
    }
    // What the steps say is what the buffers add up to.
    const alive = (at: number): number =>
      buffers.filter((b) => b.from <= at && at < (b.to ?? Infinity)).reduce((sum, b) => sum + b.bytes, 0);
    expectEqual(
      steps.map((s) => s.bytes),
      steps.map((_, i) => alive(i)),
      "bytes at each step",
    );
    ensure(peakBytes >= Math.max(...steps.map((s) => s.bytes)) && peakAt <= steps.length, `a peak of ${peakBytes}`);
    // Values are written before they are read, by steps that say so, and only while they live.
    for (const { values } of buffers)
      for (const { from, to, writtenBy, readBy, operation } of values) {
        for (const at of [...writtenBy, ...readBy])
          ensure(from <= at && at <= to, `${operation} at ${at}: ${from}-${to}`);
        if (writtenBy.length > 0)
          ensure(
            readBy.every((at) => at > writtenBy[0]!),
            `${operation} is read after it is written`,
          );
        for (const at of writtenBy) {
          const { kind, operations } = steps[at]!;
          ensure(kind !== "read" && operations.includes(operation), `${operation} by ${operations.join()}`);
        }
      }
    const saved = withShape("80,60", "saved for backward")[0]!.values.find((v) => v.owner === "saved for backward")!;
    expectEqual(
      [...saved.writtenBy, ...saved.readBy]
        .map((at) => steps[at]!.phase)
        .filter((phase, i, all) => phase !== all[i - 1]),
      ["forward", "backward"],
      "what square saved is written forward and read backward",
    );
    const parameters = withShape("100,60", "parameter").flatMap((b) => b.values);
    ensure(
      parameters.some((v) => v.readBy.some((at) => steps[at]!.operations.includes("matmul"))),
      "the product reads the parameter",
    );
    ensure(
      parameters.some((v) => v.writtenBy.some((at) => steps[at]!.phase === "step")),
      "the optimiser writes it",
    );
    // What is there at the beginning and at the end is what memory() says, which counts other devices, too.
    const used = (): number => tg.memory().liveBytes + tg.memory().cachedBytes;
    const kept: tg.Tensor[] = [];
    const before = used();
    let after = 0;
    const next = await tg.memoryTimeline(async () => {
      kept.push(tg.rand(300, 100).exp().retain());
      await kept[0]!.sum().item();
      await step();
      after = used();
    });
    const sum = (of: readonly tg.TimelineBuffer[]): number => of.reduce((total, b) => total + b.bytes, 0);
    const grown = sum(next.buffers.filter((b) => b.to === null)) - sum(next.buffers.filter((b) => b.isOld));
    ensure(after > before && kept.length === 1, "what was retained is there");
    expectEqual(grown, after - before, "bytes that came to stay");
    ensure(
      next.buffers.some(
        (b) => b.to === null && b.values.some((v) => v.owner === "retained" && v.shape.join() === "300,100"),
      ),
      "what was retained",
    );
    // It leaves nothing behind.
    const again = await step();
    ensure(Number.isFinite(again), "the device works as before");
    const empty = await tg.memoryTimeline(() => 7);
    expectEqual([empty.result, empty.steps.length], [7, 0], "nothing done");
    await expectThrows(() => tg.memoryTimeline(() => tg.memoryTimeline(() => 1)), "another timeline");
    await expectThrows(() => tg.memoryTimeline(3 as unknown as () => number), "memoryTimeline: expected a function");
    await expectThrows(
      () =>
        tg.memoryTimeline(() => {
          throw new RangeError("mine");
        }),
      "mine",
    );
    expectEqual((await tg.memoryTimeline(() => 8)).result, 8, "after one that failed");
  },

  "a budget is kept to, and nothing is lost": async () => {
    tg.setMemoryBudget(0);
    try {
      const x = tg.rand(1000);
      const sums: number[] = [];
      const parts = Array.from({ length: 5 }, (_, i) => x.mul(i).exp());
      for (const p of parts) sums.push(await p.sum().item());
      for (const [i, p] of parts.entries()) {
        const values = await p.data();
        expectClose(
          Array.from(values as Float32Array).reduce((a, b) => a + b, 0),
          sums[i]!,
          { rtol: 1e-4 },
        );
      }
    } finally {
      tg.setMemoryBudget(null);
    }
  },

  "what is computed again reads parameters as they lay when it was recorded": async () => {
    // The first step puts parameters together into one vector.
    const params = [1, 2].map((scale) => tg.arange(3000).mul(scale).detach().requiresGrad_());
    await tg.readAll(params.map((p) => p.detach()));
    const optimizer = new tg.optim.SGD(params, { lr: 0.5 });
    const doubled = params.map((p) => tg.noGrad(() => p.mul(2)));
    tg.stack(params).sum().backward();
    optimizer.step();
    tg.setMemoryBudget(0);
    try {
      await tg.rand(100_000).sum().item();
      for (const [i, values] of (await tg.readAll(doubled)).entries())
        for (const j of [0, 1, 2999]) expectEqual(values[j], 2 * (i + 1) * j);
    } finally {
      tg.setMemoryBudget(null);
    }
  },

  "working memory that makes room for other work's is not given up before it was used": async () => {
    const lengths = [3000, 40_000, 9000, 20_000];
    const inputs = lengths.map((n) => tg.rand(n));
    const wanted = (await tg.readAll(inputs)).map((values) => Float32Array.from(values as Float32Array).sort());
    tg.setMemoryBudget(0);
    try {
      const sorted = await tg.readAll(inputs.map((x) => x.sort()[0]));
      sorted.forEach((values, i) => expectIdentical(Array.from(values), Array.from(wanted[i]!)));
    } finally {
      tg.setMemoryBudget(null);
    }
  },

  "a budget has to be a number of bytes": async () => {
    await expectThrows(() => tg.setMemoryBudget(-1), "setMemoryBudget");
  },
});

/** Lifetimes. */
export const memory = suite("memory", tests);
