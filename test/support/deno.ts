/** A Deno process that runs portable tests: it is asked by lines of JSON, and answers by such lines with a mark before them. */

import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DENO, denoEnvironment, ROOT } from "../../scripts/support/environment.ts";
import { ANSWER, type Answer, type Question } from "../deno/protocol.ts";
import type { Case } from "./portable.ts";
import type { RemoteHost } from "./vitest.ts";

/** Arguments of Deno for a program of the project: all permissions, no network beyond, nothing written beside it. */
export const DENO_ARGUMENTS = ["run", "--allow-all", "--unstable-webgpu", "--no-lock", "--no-remote"];

/** The environment in which Deno finds a WebGPU adapter. */
export function denoVariables(): NodeJS.ProcessEnv {
  return { ...process.env, ...denoEnvironment().variables, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
}

class DenoProcess {
  readonly #child: ChildProcess;
  readonly #env: NodeJS.ProcessEnv;
  #waiting: ((answer: Answer) => void) | null = null;
  #noise = "";
  #ended: string | null = null;

  constructor(script: string, env: NodeJS.ProcessEnv) {
    this.#env = env;
    this.#child = spawn(DENO, [...DENO_ARGUMENTS, join(ROOT, script)], { cwd: ROOT, env: this.#env, stdio: "pipe" });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      if (line.startsWith(ANSWER)) this.#answer(JSON.parse(line.slice(ANSWER.length)) as Answer);
      else this.#hear(`${line}\n`);
    });
    this.#child.stderr!.on("data", (data: Buffer) => this.#hear(data.toString()));
    this.#child.on("error", (error) => this.#end(`Deno did not start: ${error.message}`));
    this.#child.on("close", (code, signal) => this.#end(`Deno ended with ${signal ?? `code ${code}`}`));
  }

  #hear(text: string): void {
    this.#noise = (this.#noise + text).slice(-4000);
  }

  #answer(answer: Answer): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.(answer);
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    this.#answer({ failure: `${this.#ended}\n${this.#noise}` });
  }

  ask(question: Question): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    if (this.#ended !== null) resolve({ failure: this.#ended });
    else {
      this.#waiting = resolve;
      this.#child.stdin!.write(`${JSON.stringify(question)}\n`);
    }
    return promise;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Starts a Deno program that hosts tests, such as "test/deno/portable.ts". */
export async function startDeno(script: string): Promise<RemoteHost> {
  const env = denoVariables();
  let deno = new DenoProcess(script, env);
  const first = await deno.ask({ list: true });
  if (first.cases === undefined) throw new Error(first.failure ?? "Deno gave no list of tests");
  return {
    cases: first.cases,
    run: async (which: Case) => {
      const { outcome, failure } = await deno.ask({ run: which });
      if (outcome !== undefined) return outcome;
      deno = new DenoProcess(script, env);
      return failure ?? "Deno gave no outcome";
    },
    restart: async () => {
      deno.kill();
      deno = new DenoProcess(script, env);
    },
    close: async () => deno.kill(),
  };
}
