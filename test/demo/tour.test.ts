/** The tour in the terminal: the same text on every device, options, exit codes. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../scripts/support/environment.ts";
import { expectedCells, LARGEST_DIFFERENCE, largestDifference, RANDOM_CELL } from "./expected.ts";

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runScript(script: string, ...args: string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, script), ...args], {
    cwd: ROOT,
    encoding: "utf8",
    timeout: 120_000,
  });
  return { status, stdout, stderr };
}

const tour = (...args: string[]): Ended => runScript("demo/tour.ts", ...args);

/** Lines that may differ between devices; `#` stands for what differs. */
function masked(text: string): string[] {
  return text.split("\n").map((line) =>
    line
      .replace(/^device: .*/, "device: #")
      .replace(/^(a|a\.grad): tensor\([^,]*?(, requires_grad=True)?\)$/, "$1: #")
      .replace(/^largest difference: .*/, "largest difference: #"),
  );
}

describe("the tour", { timeout: 180_000 }, () => {
  let cpu: Ended;
  let webgpu: Ended;

  beforeAll(() => {
    cpu = tour("--device=cpu");
    webgpu = tour("--device=webgpu");
  }, 180_000);

  test("ends well on the CPU and on WebGPU, and says on which it ran", () => {
    expect(cpu.stderr).toBe("");
    expect(cpu.status).toBe(0);
    expect(webgpu.status).toBe(0);
    expect(cpu.stdout).toMatch(/^device: cpu, .+: the CPU was asked for\n/);
    expect(webgpu.stdout).toMatch(/^device: webgpu, .+: WebGPU was asked for\n/);
  });

  test("gives the same text on both, but for the device, the random number and the largest difference", () => {
    const lines = masked(cpu.stdout);
    expect(masked(webgpu.stdout)).toEqual(lines);
    // No more than these lines were left out of the comparison.
    expect(lines.filter((line) => line.includes("#") && !/^#+ /.test(line))).toEqual([
      "device: #",
      "a: #",
      "a.grad: #",
      "largest difference: #",
    ]);
  });

  test("the largest difference is small on each", () => {
    expect(largestDifference(cpu.stdout.split("\n"))).toBeLessThan(LARGEST_DIFFERENCE);
    expect(largestDifference(webgpu.stdout.split("\n"))).toBeLessThan(LARGEST_DIFFERENCE);
  });

  test("holds every cell's label and output, plots and the graph, without escape sequences in a pipe", () => {
    for (const { label, output } of expectedCells) {
      expect(cpu.stdout).toContain(`In [${label}]:\n`);
      const printed = cpu.stdout.replaceAll(/ +$/gm, "");
      if (label !== RANDOM_CELL) expect(printed).toContain(output.join("\n"));
    }
    expect(cpu.stdout).toContain("● f(x)   ○ f'(x)   ◉ both");
    expect(cpu.stdout).toContain("MulBackward0          of log x², sin x");
    expect(cpu.stdout).not.toContain("\u001B");
  });
});

describe("options", { timeout: 60_000 }, () => {
  test("--plain leaves out the line on the device", () => {
    const { status, stdout } = tour("--device=cpu", "--plain");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^# Getting familiar with torch\.autograd\n/);
  });

  test("a device that does not exist is refused, with those that do", () => {
    const { status, stdout, stderr } = tour("--device=foo");
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain('--device must be auto, webgpu or cpu, not "foo"');
  });

  test("an unknown option is refused, with the usage", () => {
    const { status, stderr } = tour("--devise=cpu");
    expect(status).toBe(2);
    expect(stderr).toContain("Unknown option '--devise'");
    expect(stderr).toContain("Usage: npm start");
  });

  test("npm start passes on options and exit codes, and ends after the tour with --once", () => {
    const good = runScript("scripts/start.ts", "--once", "--device=cpu");
    expect(good.status).toBe(0);
    expect(good.stdout).toContain("device: cpu");
    expect(good.stdout).not.toContain("served");
    const bad = runScript("scripts/start.ts", "--once", "--device=tpu");
    expect(bad.status).toBe(2);
    expect(bad.stderr).toContain('not "tpu"');
  });
});
