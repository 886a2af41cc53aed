/** Answers the questions of vitest in a Deno process. */

import { createInterface } from "node:readline";
import process from "node:process";
import { hostSuites } from "../support/host.ts";
import type { PortableSuite } from "../support/portable.ts";
import { ANSWER, type Answer, type Question } from "./protocol.ts";

/** Offers some suites on standard input and output, until the input ends. */
export async function answerQuestions(suites: readonly PortableSuite[]): Promise<void> {
  const host = hostSuites(suites);
  const answer = async (question: Question): Promise<Answer> =>
    "run" in question ? { outcome: await host.run(question.run) } : { cases: host.list() };
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(ANSWER + JSON.stringify(await answer(JSON.parse(line) as Question)));
  }
  process.exit(0);
}
