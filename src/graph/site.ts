/** Where in the user's program something was recorded: the debug mode, and finding the user's line on the stack. */

import { ArgumentError } from "../errors.ts";

/** Frames that are looked at: the user's call may lie far above what records (modules within modules). */
const FRAMES = 60;

/** What frames of this library have in them: its folder as it is developed, else the file that this module was bundled into. */
const OWN = (/[^\s(@]+\/[^\s)]*?(?=[?:][^/]*$)/.exec(framesOf(new Error())[0] ?? "")?.[0] ?? import.meta.url).replace(
  /graph\/site\.ts$/,
  "",
);

let isOn = false;

/**
 * Switches the debug mode. While it is on, every tensor remembers the line of your program that made it: `memorySnapshot()` lists the lines,
 * and errors about values that are gone name them. It costs a stack trace an operation, and nothing while it is off. Throws an `ArgumentError`
 * unless `enabled` is a boolean.
 */
export function setDebugMode(enabled: boolean): void {
  if (typeof enabled !== "boolean")
    throw new ArgumentError(`setDebugMode: expected true or false, got ${String(enabled)}`);
  isOn = enabled;
}

/** True while the debug mode is on. */
export function isDebugModeEnabled(): boolean {
  return isOn;
}

/** The user's line, in debug mode; else null. */
export function siteInDebugMode(): string | null {
  return isOn ? userSite() : null;
}

/** The user's line on the stack, such as `step (train.ts:12:7)`: the first frame outside the library. */
export function userSite(): string {
  const errors: ErrorConstructor & { stackTraceLimit?: number | undefined } = Error;
  const before = errors.stackTraceLimit;
  errors.stackTraceLimit = FRAMES;
  const error = new Error();
  errors.stackTraceLimit = before;
  const frames = framesOf(error);
  const outside = frames.find((line) => !line.includes(OWN) && !line.includes("node:"));
  return (outside ?? frames[frames.length - 1] ?? "an unknown line").trim().replace(/^at /, "");
}

/** Lines of a stack trace that name a place; engines differ in what else there is. */
function framesOf({ stack = "" }: Error): string[] {
  return stack.split("\n").filter((line) => /:\d+/.test(line));
}
