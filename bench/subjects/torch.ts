/** PyTorch as a subject, in a process of its own: what native code does on this machine. */

import { spawn, spawnSync, type ChildProcessByStdio } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { built } from "../support/built.ts";
import type { Workload } from "../workloads/workload.ts";
import type { Instance, Subject } from "./subject.ts";

interface Greeting {
  readonly version: string;
  readonly cuda: boolean;
  readonly name: string;
}

/** A Python that has PyTorch, or null. */
function findPython(): string | null {
  for (const name of ["python3", "python", "/usr/bin/python3"])
    if (spawnSync(name, ["-c", "import torch, numpy"], { stdio: "ignore" }).status === 0) return name;
  return null;
}

/** The line protocol with the server. */
export class Server {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "tapegrad-bench-"));

  constructor(python: string, device: string, threads: number) {
    const script =
      built === null ? fileURLToPath(new URL("pytorch_server.py", import.meta.url)) : this.#unpack(built.python);
    this.#child = spawn(python, [script, device, String(threads)], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, OMP_NUM_THREADS: String(threads), PYTHONUNBUFFERED: "1" },
    });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#lines.on("line", (line) => this.#waiting.shift()?.resolve(line));
    this.#child.on("exit", (code) => {
      for (const w of this.#waiting.splice(0)) w.reject(new Error(`the PyTorch process ended with code ${code}`));
    });
  }

  /** Writes the scripts of the bundled benchmark to where Python can run them. */
  #unpack(scripts: Readonly<Record<string, string>>): string {
    for (const [name, text] of Object.entries(scripts)) writeFileSync(join(this.folder, name), text);
    return join(this.folder, "pytorch_server.py");
  }

  /** The next line that the server prints. */
  async next<T>(): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiting.push({ resolve, reject });
    const answer = JSON.parse(await promise) as T & { error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  ask<T>(command: object): Promise<T> {
    const answer = this.next<T>();
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    return answer;
  }

  close(): void {
    this.#child.stdin.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Number of results of a workload. */
function resultCount(workload: Workload): number {
  switch (workload.task.op) {
    case "layerNormBackward":
    case "attentionBackward":
      return 4;
    case "conv2dBackward":
    case "adamw":
      return 3;
    default:
      return 1;
  }
}

async function prepare(server: Server, workload: Workload): Promise<Instance> {
  await server.ask({ do: "prepare", task: workload.task, half: workload.dtype === "float16" });
  const files = workload.inputs.map((_, i) => join(server.folder, `in${i}`));
  return {
    async load(arrays) {
      arrays.forEach((data, i) =>
        writeFileSync(files[i]!, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
      );
      await server.ask({
        do: "load",
        files,
        shapes: workload.inputs.map((i) => i.shape),
        types: arrays.map((a) => (a instanceof Int32Array ? "int32" : "float32")),
      });
    },
    run: (repeat) => server.ask({ do: "run", repeat }),
    async outputs() {
      const results = Array.from({ length: resultCount(workload) }, (_, i) => join(server.folder, `out${i}`));
      await server.ask({ do: "outputs", files: results });
      return results.map((file) => {
        const bytes = readFileSync(file);
        return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
      });
    },
    unload: () => void server.ask({ do: "unload" }),
  };
}

/** A server for the CPU, or for CUDA beside WebGPU; null where there is no PyTorch for it. */
export async function startTorch(
  device: "cpu" | "webgpu",
  threads: number,
): Promise<{ readonly server: Server; readonly version: string } | null> {
  const python = findPython();
  if (python === null) return null;
  const start = async (kind: string): Promise<{ server: Server; greeting: Greeting }> => {
    const server = new Server(python, kind, threads);
    return { server, greeting: await server.next<Greeting>() };
  };
  const { server, greeting } = await start("cpu");
  if (device === "cpu") return { server, version: greeting.version };
  server.close();
  if (!greeting.cuda) return null;
  const cuda = await start("cuda");
  return { server: cuda.server, version: `${cuda.greeting.version} on ${cuda.greeting.name}` };
}

/** PyTorch as a subject; none where there is none. */
export async function torchSubjects(device: "cpu" | "webgpu", threads: number): Promise<Subject[]> {
  const started = await startTorch(device, threads);
  if (started === null) return [];
  const { server, version } = started;
  return [
    {
      name: `pytorch ${device === "cpu" ? "cpu" : "cuda"}`,
      library: "pytorch",
      device,
      version,
      threads,
      note: "native code, in a process of its own; its own clock",
      isCeiling: true,
      prepare: (workload) => prepare(server, workload),
      close: () => server.close(),
    },
  ];
}
