/** Command line of the benchmark. */

import { parseArgs } from "node:util";
import type { FloatType } from "../workloads/workload.ts";

export type ThreadMode = "one" | "all";

export interface BenchOptions {
  readonly device: "cpu" | "webgpu";
  readonly threads: readonly ThreadMode[];
  /** Rows whose name contains one of these; all if empty. */
  readonly only: readonly string[];
  /** Subjects whose name contains one of these; all if empty. */
  readonly subjects: readonly string[];
  /** Types of the operations' tables, one after the other. */
  readonly dtypes: readonly FloatType[];
  readonly quick: boolean;
  readonly samples: number;
  /** Seconds a subject and row. */
  readonly budget: number;
  /** Where the JSON goes; null: nowhere. */
  readonly output: string | null;
  /** Given when one part runs in a process of its own: where it puts its part of the result. */
  readonly part: string | null;
  readonly steps: number | null;
}

/** What `--help` prints. */
export const USAGE = `npm run bench [-- [what] [options]]

what
  ops        operations side by side with the peers (default, with training)
  training   training steps: MLP, CNN, character GPT, with AdamW
  host       host cost of recording, scheduling and encoding, and dispatches a training step
  memory     memory in loops of many steps
  cold       first step to first result in a fresh process
  size       bytes that a page has to load
  all        all of these

options
  --device cpu|webgpu     where (cpu)
  --threads one|all|both  threads of WebAssembly and native code (both)
  --dtype float32|float16|both  tables of operations (float32)
  --only a,b              rows whose name contains a or b
  --subjects a,b          subjects whose name contains a or b
  --quick                 small rows only, fewer samples and a short budget
  --samples n             samples a row (30; 12 with --quick)
  --budget s              seconds a subject and row may take (20; 2 with --quick)
  --steps n               steps of each loop of "memory" (10000; 300 with --quick)
  --output file|none      where the JSON goes (bench/results/<date>-<device>.json)
`;

/** Commands in the order in which `all` runs them. */
export const COMMANDS = ["ops", "training", "host", "memory", "cold", "size"] as const;
export type Command = (typeof COMMANDS)[number];

function list(text: string | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((s) => s.trim())
    .filter((s) => s !== "");
}

function positive(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} must be a positive number, got "${text}"`);
  return value;
}

/** Options and commands of the arguments; throws with a message for people. */
export function readOptions(args: readonly string[]): { commands: readonly Command[]; options: BenchOptions } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      device: { type: "string" },
      threads: { type: "string" },
      dtype: { type: "string" },
      only: { type: "string" },
      subjects: { type: "string" },
      quick: { type: "boolean" },
      samples: { type: "string" },
      budget: { type: "string" },
      steps: { type: "string" },
      output: { type: "string" },
      part: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    console.log(USAGE);
    process.exit(0);
  }
  const device = values.device ?? "cpu";
  if (device !== "cpu" && device !== "webgpu") throw new Error(`--device must be cpu or webgpu, got "${device}"`);
  const threads = values.threads ?? "both";
  if (threads !== "one" && threads !== "all" && threads !== "both")
    throw new Error(`--threads must be one, all or both, got "${threads}"`);
  const dtype = values.dtype ?? "float32";
  if (dtype !== "float32" && dtype !== "float16" && dtype !== "both")
    throw new Error(`--dtype must be float32, float16 or both, got "${dtype}"`);
  const commands: Command[] = [];
  for (const word of positionals.length === 0 ? ["ops", "training"] : positionals) {
    if (word === "all") commands.push(...COMMANDS);
    else if ((COMMANDS as readonly string[]).includes(word)) commands.push(word as Command);
    else throw new Error(`unknown command "${word}"; known are ${COMMANDS.join(", ")} and all`);
  }
  const quick = values.quick ?? false;
  return {
    commands,
    options: {
      device,
      threads: threads === "both" ? ["one", "all"] : [threads],
      dtypes: dtype === "both" ? ["float32", "float16"] : [dtype],
      only: list(values.only),
      subjects: list(values.subjects),
      quick,
      samples: positive("samples", values.samples, quick ? 12 : 30),
      budget: positive("budget", values.budget, quick ? 2 : 20),
      steps: values.steps === undefined ? null : positive("steps", values.steps, 1),
      output: values.output === "none" ? null : (values.output ?? ""),
      part: values.part ?? null,
    },
  };
}

/** True if a name contains one of the words, or there are none. */
export function matches(name: string, words: readonly string[]): boolean {
  return words.length === 0 || words.some((w) => name.includes(w));
}
