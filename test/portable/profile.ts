/** Profiles: what ran, how often, and that nothing else changes. */

import * as tg from "#tapegrad";
import type { Profile, ProfileRow, Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectIdentical, expectThrows, suite } from "../support/portable.ts";

const { F } = tg;

/** A training step, the same each time. */
function training(): { step: () => Promise<number>; weight: Tensor } {
  tg.manualSeed(3);
  const weight = tg.rand(60, 40).requiresGrad_();
  const optimizer = new tg.optim.Adam([weight], { lr: 0.01 });
  const step = async (): Promise<number> => {
    const x = tg.tensor(new Float32Array(80 * 60).fill(0.5), { shape: [80, 60] });
    const loss = x.matmul(weight).square().sum();
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss.item();
  };
  return { step, weight };
}

function kernelsOf({ rows }: Profile<unknown>, name: string): ProfileRow[] {
  return rows.filter((row) => row.kind === "kernel" && row.name.startsWith(name));
}

/** The only kernel of that name. */
function kernelOf(profile: Profile<unknown>, name: string): ProfileRow {
  const found = kernelsOf(profile, name);
  ensure(found.length === 1, `${found.length} rows of ${name}: ${String(profile)}`);
  return found[0]!;
}

/** What holds of every profile. */
function checkRows({ rows, devices, wallMs, device, ceiling }: Profile<unknown>): void {
  ensure(wallMs >= 0, `a wall time of ${wallMs}`);
  rows.forEach((row, i) => {
    ensure(row.calls > 0 && row.bytes > 0, `${row.name}: ${row.calls} calls, ${row.bytes} bytes`);
    ensure(row.time === null || row.time >= 0, `${row.name} took ${row.time}`);
    ensure((rows[i + 1]?.time ?? -1) <= (row.time ?? -1), "the longest come first");
    const { isTimed, ceiling: most } = devices.find(({ type }) => type === row.device)!;
    if (row.kind !== "kernel") return;
    expectEqual(row.time !== null, isTimed, `${row.name}: a time where there is a clock`);
    if (isTimed && most !== null && row.time! > 0) {
      const least = 1e3 * Math.max(row.bytes / most.bandwidth, (row.flops ?? 0) / most.flops);
      expectClose(row.share!, least / row.time!);
    } else expectEqual(row.share, null);
  });
  if (rows.some((row) => row.kind === "kernel" && row.device === device)) {
    ensure(ceiling !== null, "there is a ceiling");
    ensure(ceiling.bandwidth > 1e6 && ceiling.flops > 1e6, JSON.stringify(ceiling));
    expectIdentical(ceiling, devices.find(({ type }) => type === device)!.ceiling);
  }
}

export const profiling = suite("profile", {
  "a training step is told kernel by kernel, and is what it is without": async ({ device }) => {
    const plain = training();
    const watched = training();
    // What is compiled and planned meanwhile is part of the first profile, and changes nothing.
    const losses = [];
    for (let i = 0; i < 4; i++) losses.push(await plain.step());
    const profiles = [];
    for (let i = 0; i < 4; i++) profiles.push(await tg.profile(watched.step));
    expectEqual(
      profiles.map((p) => p.result),
      losses,
    );
    expectEqual(await watched.weight.detach().data(), await plain.weight.detach().data());
    profiles.forEach((profile, i) => {
      checkRows(profile);
      expectEqual(profile.device, device);
      const products = kernelsOf(profile, "matmul");
      expectEqual(
        products.reduce((calls, row) => calls + row.calls, 0),
        2,
        "one forward, one backward",
      );
      const flops = products.reduce((sum, row) => sum + row.flops!, 0);
      expectEqual(flops, 2 * 2 * 80 * 60 * 40, "two products");
      const steps = profile.rows.filter((row) => row.phase === "step");
      ensure(
        steps.length === 1 && steps[0]!.name.includes("sqrt") && steps[0]!.name.endsWith("[60, 40]"),
        `the optimiser: ${String(profile)}`,
      );
      // The weight and its gradient and, but for the first step, two moments are read; all but the gradient are written.
      const least = (i === 0 ? 5 : 7) * 60 * 40 * 4;
      ensure(steps[0]!.bytes >= least && steps[0]!.bytes < least + 64, `${steps[0]!.bytes} bytes`);
      const upload = profile.rows.find((row) => row.kind === "upload")!;
      expectEqual([upload.calls, upload.bytes], [1, 80 * 60 * 4]);
      const read = profile.rows.find((row) => row.kind === "read")!;
      expectEqual([read.calls, read.time !== null], [1, true]);
    });
    // Of a device everything is measured once.
    expectIdentical(profiles[3]!.ceiling, profiles[0]!.ceiling);
  },

  "bytes are those of the elements that are used, each once": async () => {
    const x = tg.rand(50, 40).retain();
    const row = tg.rand(1, 40).retain();
    await tg.synchronize();
    const n = 4 * 50 * 40;
    const add = await tg.profile(() => x.add(row).retain());
    checkRows(add);
    const added = kernelOf(add, "add");
    expectEqual([added.calls, added.bytes, added.flops], [1, 2 * n + 4 * 40, null]);
    expectEqual(added.name, "add [50, 40]");
    const half = await tg.profile(() => x.narrow(0, 0, 25).neg().retain());
    expectEqual(kernelOf(half, "neg").bytes, n);
    const twice = await tg.profile(() => x.mul(x.t().t()).retain());
    expectEqual(kernelOf(twice, "mul").bytes, 2 * n, "one operand");
    const sums = await tg.profile(() => x.exp().sum(1).retain());
    expectEqual([kernelOf(sums, "exp, sum").bytes, kernelOf(sums, "exp, sum").name], [n + 200, "exp, sum [50, 40] -> [50]"]); // prettier-ignore
    const neighbours = await tg.profile(() =>
      x
        .narrow(1, 0, 39)
        .add(x.narrow(1, 1, 39))
        .sum()
        .retain(),
    );
    expectEqual(kernelOf(neighbours, "add, sum").bytes, n + 4, "what overlaps is read once");
    const loop = await tg.profile(async () => {
      for (let i = 0; i < 3; i++) await x.mul(i + 2).data();
    });
    expectEqual([kernelOf(loop, "mul").calls, kernelOf(loop, "mul").bytes], [3, 3 * 2 * n]);
    const reads = loop.rows.find(({ kind }) => kind === "read")!;
    expectEqual([reads.calls, reads.bytes], [3, 3 * n]);
  },

  "products, convolutions and attention count their arithmetic": async () => {
    const inputs = [tg.rand(2, 3, 10, 10), tg.rand(4, 3, 3, 3), tg.rand(5, 7), tg.rand(7, 6), tg.rand(2, 8, 4)];
    for (const input of inputs) input.retain();
    await tg.synchronize();
    const [image, kernel, a, b, q] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const conv = kernelOf(await tg.profile(() => F.conv2d(image, kernel).retain()), "conv");
    expectEqual([conv.flops, conv.bytes], [2 * 2 * 4 * 64 * 27, 4 * (600 + 108 + 512)]);
    // Of ten positions with a margin of one, the first and the last meet two elements of three.
    const padded = kernelOf(await tg.profile(() => F.conv2d(image, kernel, null, { padding: 1 }).retain()), "conv");
    expectEqual(padded.flops, 2 * 2 * 4 * 3 * 28 * 28);
    const product = kernelOf(await tg.profile(() => a.matmul(b).retain()), "matmul");
    expectEqual([product.flops, product.bytes], [2 * 5 * 7 * 6, 4 * (35 + 42 + 30)]);
    expectEqual(product.name, "matmul [5, 7] @ [7, 6]");
    const attention = await tg.profile(() => F.scaledDotProductAttention(q, q, q).retain());
    // As one kernel, or as two products.
    const flops = attention.rows.reduce((sum, row) => sum + (row.flops ?? 0), 0);
    expectEqual(flops, 2 * 2 * 2 * 8 * 8 * 4);
  },

  "a kernel of several shapes is one row, or one for each": async () => {
    const run = (): Tensor[] => [4, 5].map((n) => tg.ones(n, 3).mul(2).matmul(tg.ones(3, 2).mul(3)).retain());
    const together = kernelOf(await tg.profile(run), "matmul");
    expectEqual([together.name, together.calls, together.flops], ["matmul", 2, 2 * (4 + 5) * 3 * 2]);
    const apart = kernelsOf(await tg.profile(run, { groupByInputShape: true }), "matmul");
    expectEqual(apart.map((row) => row.name).sort(), ["matmul [4, 3] @ [3, 2]", "matmul [5, 3] @ [3, 2]"]);
    expectEqual(
      apart.map((row) => row.calls),
      [1, 1],
    );
  },

  "compiled functions and checkpoints are seen as what they run": async () => {
    const w = tg.rand(6, 6).requiresGrad_();
    const x = tg.rand(4, 6).retain();
    const layer = (input: Tensor): Tensor => input.matmul(w).tanh().matmul(w).sin();
    const compiled = tg.compile(layer);
    const outcome = async (f: (input: Tensor) => Tensor): Promise<unknown> => {
      w.grad = null;
      const y = f(x);
      y.sum().backward();
      return [await y.detach().data(), await w.grad!.data()];
    };
    const expected = await outcome(layer);
    for (const f of [compiled, (input: Tensor) => tg.utils.checkpoint(layer, input)]) {
      for (let i = 0; i < 3; i++) {
        const profile = await tg.profile(() => outcome(f));
        checkRows(profile);
        const [y, g] = profile.result as [Float32Array, Float32Array];
        const [wantedY, wantedG] = expected as [Float32Array, Float32Array];
        expectClose(y, wantedY, { rtol: 1e-5 });
        expectClose(g, wantedG, { rtol: 1e-5, atol: 1e-6 });
        const calls = kernelsOf(profile, "matmul").reduce((sum, row) => sum + row.calls, 0);
        ensure(calls >= 5, `two products forward, three backward: ${String(profile)}`);
        ensure(
          profile.rows.some((row) => row.phase === "backward"),
          `some of it is backward: ${String(profile)}`,
        );
      }
    }
  },

  "more calls than one set of timestamps holds are timed": {
    timeout: 120_000,
    run: async () => {
      const x = tg.ones(4).retain();
      await tg.synchronize();
      const profile = await tg.profile(async () => {
        for (let i = 0; i < 2100; i++) {
          void x.mul(2).retain();
          if (i % 100 === 0) await tg.synchronize();
          else void x.add(i).data();
        }
      });
      checkRows(profile);
      const calls = profile.rows.reduce((sum, row) => sum + (row.kind === "kernel" ? row.calls : 0), 0);
      ensure(calls >= 2100, `${calls} calls`);
    },
  },

  "what has to be copied between devices is shown, and both of them": {
    devices: ["webgpu"],
    run: async () => {
      const x = tg.rand(30, 20).retain();
      await tg.synchronize();
      const profile = await tg.profile(async () => {
        const there = x.exp().to("cpu").mul(2).to("webgpu");
        return there.add(1).sum().item();
      });
      checkRows(profile);
      expectEqual(kernelOf(profile, "exp").device, "webgpu");
      expectEqual(kernelOf(profile, "mul").device, "cpu");
      const transfers = profile.rows.filter(({ kind }) => kind === "transfer");
      expectEqual(transfers.map(({ name }) => name).sort(), ["transfer from cpu to webgpu", "transfer from webgpu to cpu"]); // prettier-ignore
      for (const { calls, bytes, time } of transfers) expectEqual([calls, bytes, time! >= 0], [1, 2400, true]);
      expectEqual([...profile.devices].map(({ type }) => type).sort(), ["cpu", "webgpu"]);
      ensure(/^name +device +phase /.test(String(profile)), String(profile));
      expectEqual(profile.device, "webgpu");
    },
  },

  "the table has every row, and the sums": async ({ device }) => {
    const profile = await tg.profile(async () => {
      await tg.rand(20, 10).exp().sum(0).data();
      await tg.arange(8).mul(3).data();
    });
    const lines = String(profile).split("\n");
    ensure(
      /^name +phase +calls +time +time % +time avg +bytes +bytes\/s +flop\/s +roofline$/.test(lines[0]!),
      lines[0]!,
    );
    expectEqual(lines.length, 1 + 1 + profile.rows.length + 1 + 1 + 1);
    profile.rows.forEach(({ name }, i) => ensure(lines[i + 2]!.startsWith(name.slice(0, 50)), lines[i + 2]!));
    const calls = profile.rows.reduce((sum, row) => sum + (row.kind === "kernel" ? row.calls : 0), 0);
    ensure(lines.at(-2)!.startsWith(`kernels: ${calls} calls, `), lines.at(-2)!);
    ensure(lines.at(-1)!.startsWith(`${device}: ${tg.currentDevice().description}: copies `), lines.at(-1)!);
    if (profile.devices[0]!.isTimed && profile.rows.some((r) => r.kind === "kernel" && r.time! > 0)) {
      const shares = [...String(profile).matchAll(/ ([\d.]+)%  +[\d.]+ [um]s/g)].map((match) => Number(match[1]));
      expectClose(
        shares.reduce((a, b) => a + b, 0),
        100,
        { rtol: 0.01 },
      );
    } else if (!profile.devices[0]!.isTimed) ensure(lines.at(-1)!.includes("no times: it has no timestamp-query"), lines.at(-1)!); // prettier-ignore
  },

  "what goes wrong ends the profile, and is passed on": async () => {
    await expectThrows(() => tg.profile(3 as unknown as () => number), "profile: expected a function, got 3");
    await expectThrows(() => tg.profile(undefined as unknown as () => number), "profile: expected a function");
    await expectThrows(() => tg.profile(() => 1, { shapes: true } as object), 'profile: unknown option "shapes"');
    await expectThrows(() => tg.profile(() => tg.profile(() => 1)), "profile: another profile is being recorded");
    await expectThrows(
      () => tg.profile(() => tg.memoryTimeline(() => 1)),
      "memoryTimeline: a profile is being recorded",
    );
    await expectThrows(() => tg.memoryTimeline(() => tg.profile(() => 1)), "profile: a timeline is being recorded");
    for (const fail of [
      () => {
        void tg.ones(3).mul(2).retain();
        throw new RangeError("mine");
      },
      () => Promise.reject(new RangeError("mine")),
    ])
      await expectThrows(() => tg.profile(fail), "mine");
    await expectThrows(() => tg.profile(() => tg.ones(3).at(tg.tensor([7], { dtype: "int32" }).add(1).to("int32")).data()), "IndexError"); // prettier-ignore
    const empty = await tg.profile(() => 7);
    expectEqual([empty.result, empty.rows.length, empty.devices.length, empty.ceiling], [7, 0, 0, null]);
    ensure(String(empty).includes("kernels: 0 calls"), String(empty));
    expectClose(await tg.ones(3).mul(2).data(), [2, 2, 2]);
  },
});
