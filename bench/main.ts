/** `npm run bench`: see support/options.ts for what it can be told. */

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { dawnEnvironment, ROOT } from "../scripts/support/environment.ts";
import { runNode } from "../scripts/support/run.ts";
import { built } from "./support/built.ts";
import { machine, ownVersion } from "./support/machine.ts";
import { readOptions, USAGE, type BenchOptions, type Command, type ThreadMode } from "./support/options.ts";
import { buildGradients, installPeers } from "./support/peers.ts";

/** Exit code of a part that ran, and found that something promised is not kept. */
const UNMET = 3;

/** jax-js's `jit` recurses over what it traced: a thousand operations are too many for the stack that Node takes by default, and no more than half of what systems but Windows give. */
const STACK = process.platform === "win32" ? [] : ["--stack-size=4000"];
const FLAGS = ["--expose-gc", ...STACK];

/** Runs one part in this process. */
async function runPart(command: Command, options: BenchOptions, mode: ThreadMode): Promise<unknown> {
  switch (command) {
    case "ops":
      return (await import("./ops.ts")).runOps(options, mode);
    case "training":
      return (await import("./training/run.ts")).runTraining(options, mode);
    case "host":
      return (await import("./host/run.ts")).runHost(options);
    case "memory":
    case "cold":
    case "size":
      if (built !== null) throw new Error(`${command} runs from the repository only: npm run bench -- ${command}`);
      return runFromRepository(command, options);
  }
}

/** What starts other files of the repository. */
async function runFromRepository(command: "memory" | "cold" | "size", options: BenchOptions): Promise<unknown> {
  if (command === "memory") return (await import("./memory/run.ts")).runMemory(options);
  const { runCold, runSize } = await import("./cold.ts");
  return command === "cold" ? runCold(options) : runSize(options);
}

/** Runs the bundle once more, in a process of its own. */
function runSelf(args: readonly string[]): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const child = spawn(process.execPath, [...FLAGS, process.argv[1]!, ...args], { stdio: "inherit" });
  child.on("exit", (code) => resolve(code ?? 128));
  return promise;
}

/** Options of the parts in which a command runs: modes of threads and types, as far as it depends on them. */
function partsOf(command: Command, options: BenchOptions): readonly (readonly string[])[] {
  const threads = options.device === "cpu" && (command === "ops" || command === "training") ? options.threads : ["one"];
  const dtypes = command === "ops" ? options.dtypes : ["float32"];
  return threads.flatMap((mode) => dtypes.map((dtype) => ["--threads", mode, "--dtype", dtype]));
}

/** Runs every part in a process of its own, so that none starts with what another left behind, and gathers the results. */
async function runAll(commands: readonly Command[], options: BenchOptions, args: readonly string[]): Promise<number> {
  installPeers();
  await buildGradients();
  // The bundle takes the machine as it is.
  const environment = options.device === "webgpu" && built === null ? dawnEnvironment().variables : {};
  const results: Record<string, unknown[]> = {};
  const facts = machine();
  console.log(`${facts.processor}, ${facts.parallelism} threads; ${facts.engine}; commit ${facts.commit}`);
  console.log(`load of the last minute before: ${facts.loadBefore.toFixed(2)}`);
  let failures = 0;
  const plain = args.filter((a) => a.startsWith("--"));
  for (const command of commands)
    for (const choice of partsOf(command, options)) {
      const part = join(tmpdir(), `tapegrad-bench-${process.pid}.json`);
      const partArgs = [...withoutValues(args, commands), command, ...choice, "--part", part];
      const code = await (built === null ? runNode("bench/main.ts", partArgs, environment, FLAGS) : runSelf(partArgs));
      if (code === UNMET) failures++;
      else if (code !== 0) {
        console.error(`bench: ${command} (${choice.join(" ")}) ended with code ${code}`);
        failures++;
        continue;
      }
      (results[command] ??= []).push(JSON.parse(readFileSync(part, "utf8")));
      rmSync(part, { force: true });
    }
  if (options.output !== null && Object.keys(results).length > 0) {
    const stamp = facts.date.slice(0, 16).replaceAll(":", "");
    const name = `${stamp}-${options.device}${options.quick ? "-quick" : ""}.json`;
    const folder = built === null ? join(ROOT, "bench/results") : process.cwd();
    const file = options.output === "" ? join(folder, name) : options.output;
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      file,
      `${JSON.stringify({ version: ownVersion(), options: plain, machine: facts, ...results }, null, 1)}\n`,
    );
    console.log(`result: ${file}`);
  }
  return failures === 0 ? 0 : 1;
}

/** The arguments without the commands, and without `--threads x` and `--dtype x`. */
function withoutValues(args: readonly string[], commands: readonly Command[]): string[] {
  const result: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--threads" || arg === "--dtype") i++;
    else if (!/^--(threads|dtype)=/.test(arg) && arg !== "all" && !commands.includes(arg as Command)) result.push(arg);
  }
  return result;
}

const args = process.argv.slice(2);
let parsed: ReturnType<typeof readOptions>;
try {
  parsed = readOptions(args);
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exit(2);
}
const { commands, options } = parsed;
if (options.part === null) process.exit(await runAll(commands, options, args));
const result = await runPart(commands[0]!, options, options.threads[0]!);
writeFileSync(options.part, JSON.stringify(result));
const { unmet } = (result ?? {}) as { readonly unmet?: readonly string[] };
// Workers and devices of the peers would keep the process alive.
process.exit(unmet === undefined || unmet.length === 0 ? 0 : UNMET);
