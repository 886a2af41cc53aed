/**
 * Tests that run unchanged in Node, in Chromium and in Deno, on every device. They know no test runner: a suite is data, a test is a
 * function that throws when something is wrong.
 *
 *     export const sums = suite("sums", {
 *       "of an empty tensor is zero": async () => expectEqual(await tg.zeros(0).sum().item(), 0),
 *       "of many small terms": {
 *         timeout: 120_000,
 *         run: async ({ device }) => expectClose(await f(device), [1], { rtol: 1e-6 }),
 *       },
 *     });
 *
 * A suite joins in by one line in test/portable/suites.ts. From there test/portable/node.test.ts runs it under vitest (CPU, and WebGPU
 * through Dawn), test/browser/portable.test.ts in a page in Chromium, and test/deno/portable.test.ts in Deno; every test once for each
 * device. New tensors are on `context.device`. On "webgpu" the test is wrapped in WebGPU error scopes (validation, out of memory,
 * internal): an error in one of them fails the test, whatever the test itself saw.
 *
 * This file imports nothing, so that it loads anywhere.
 */

/** Devices that a test runs on. */
export type TestDevice = "cpu" | "webgpu";

/** The devices, in the order in which tests run on them. */
export const TEST_DEVICES: readonly TestDevice[] = ["cpu", "webgpu"];

/** What a test is told. */
export interface TestContext {
  /** The device of new tensors. */
  readonly device: TestDevice;
}

/** A test of a suite. */
export interface PortableTest {
  readonly run: (context: TestContext) => void | Promise<void>;
  /** The devices to run on; all by default. */
  readonly devices?: readonly TestDevice[];
  /** Milliseconds that it may take; a minute by default. */
  readonly timeout?: number;
}

/** Named tests. */
export interface PortableSuite {
  readonly name: string;
  readonly tests: ReadonlyMap<string, PortableTest>;
}

/** Milliseconds that a test may take if it says nothing else. */
export const DEFAULT_TIMEOUT = 60_000;

/** A suite of tests by name; a bare function runs on all devices. `options` are the defaults of all its tests. */
export function suite(
  name: string,
  tests: Readonly<Record<string, PortableTest | PortableTest["run"]>>,
  options: Omit<PortableTest, "run"> = {},
): PortableSuite {
  const entries = Object.entries(tests).map(([testName, given]): [string, PortableTest] => [
    testName,
    typeof given === "function" ? { ...options, run: given } : { ...options, ...given },
  ]);
  return { name, tests: new Map(entries) };
}

/** A test on a device, by the name under which it is reported. */
export interface Case {
  readonly suite: string;
  readonly test: string;
  readonly device: TestDevice;
  readonly timeout: number;
}

/** Every test of some suites on every device that it runs on: all on one device before the next, so that devices change rarely. */
export function casesOf(suites: readonly PortableSuite[]): Case[] {
  const cases: Case[] = [];
  for (const device of TEST_DEVICES)
    for (const { name, tests } of suites)
      for (const [test, { devices = TEST_DEVICES, timeout = DEFAULT_TIMEOUT }] of tests)
        if (devices.includes(device)) cases.push({ suite: name, test, device, timeout });
  return cases;
}

/** Finds the test of a case. */
export function testOf(suites: readonly PortableSuite[], { suite: suiteName, test }: Case): PortableTest {
  const found = suites.find(({ name }) => name === suiteName)?.tests.get(test);
  if (found === undefined) throw new Error(`there is no test "${test}" in a suite "${suiteName}"`);
  return found;
}

// --- expectations ------------------------------------------------------------------------------------------------------

/** An expectation that was not met. */
export class ExpectationError extends Error {
  override readonly name = "ExpectationError";
}

/** Throws `message` unless `condition` holds. */
export function ensure(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ExpectationError(message);
}

/** A value in a message: short, with NaN, infinities and -0 as they are. */
export function show(value: unknown): string {
  const text = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "number")
      return Number.isFinite(part) && !Object.is(part, -0) ? part : `<${Object.is(part, -0) ? "-0" : part}>`;
    if (typeof part === "bigint") return `${part}n`;
    if (part === undefined) return "<undefined>";
    if (ArrayBuffer.isView(part)) return Array.from(part as unknown as ArrayLike<number>);
    return part;
  });
  const plain = text.replace(/"<(.*?)>"/g, "$1");
  return plain.length > 400 ? `${plain.slice(0, 400)}...` : plain;
}

function asArray(value: unknown): readonly unknown[] | null {
  if (Array.isArray(value)) return value as readonly unknown[];
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
    ? Array.from(value as unknown as ArrayLike<number>)
    : null;
}

function difference(
  actual: unknown,
  expected: unknown,
  path: string,
  same: (a: unknown, b: unknown) => boolean,
): string | null {
  const actualItems = asArray(actual);
  const expectedItems = asArray(expected);
  if (actualItems !== null && expectedItems !== null) {
    if (actualItems.length !== expectedItems.length)
      return `${path || "the whole"} has ${actualItems.length} items instead of ${expectedItems.length}`;
    for (let i = 0; i < actualItems.length; i++) {
      const found = difference(actualItems[i], expectedItems[i], `${path}[${i}]`, same);
      if (found !== null) return found;
    }
    return null;
  }
  if (isRecord(actual) && isRecord(expected)) {
    for (const key of new Set([...Object.keys(actual), ...Object.keys(expected)])) {
      const found = difference(actual[key], expected[key], `${path}.${key}`, same);
      if (found !== null) return found;
    }
    return null;
  }
  return same(actual, expected) ? null : `${path === "" ? "it" : path} is ${show(actual)} instead of ${show(expected)}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function fail(what: string | undefined, problem: string, actual: unknown, expected: unknown): never {
  const whole = typeof actual === "object" ? `\n  actual:   ${show(actual)}\n  expected: ${show(expected)}` : "";
  throw new ExpectationError(`${what === undefined ? "" : `${what}: `}${problem}${whole}`);
}

/** Throws unless the two are equal: numbers, strings, plain objects, and (typed, nested) arrays of them. NaN equals NaN, 0 equals -0. */
export function expectEqual(actual: unknown, expected: unknown, what?: string): void {
  const problem = difference(actual, expected, "", (a, b) => a === b || Object.is(a, b));
  if (problem !== null) fail(what, problem, actual, expected);
}

/** Throws unless the two are equal to the bit: as `expectEqual`, but 0 and -0 differ. */
export function expectIdentical(actual: unknown, expected: unknown, what?: string): void {
  const problem = difference(actual, expected, "", Object.is);
  if (problem !== null) fail(what, problem, actual, expected);
}

/** How far apart two numbers may be: |a - e| <= atol + rtol |e|, as in PyTorch's `allclose`. */
export interface Tolerance {
  readonly rtol?: number;
  readonly atol?: number;
}

/**
 * Throws unless two numbers, or (typed, nested) arrays of them, are close. NaN is close to NaN, an infinity to itself. By default
 * `rtol` is 1e-5 and `atol` 1e-6.
 */
export function expectClose(actual: unknown, expected: unknown, tolerance: Tolerance = {}, what?: string): void {
  const { rtol = 1e-5, atol = 1e-6 } = tolerance;
  const problem = difference(actual, expected, "", (a, e) => {
    if (typeof a !== "number" || typeof e !== "number") return a === e;
    return Object.is(a, e) || a === e || Math.abs(a - e) <= atol + rtol * Math.abs(e);
  });
  if (problem !== null) fail(what, `${problem} (rtol ${rtol}, atol ${atol})`, actual, expected);
}

/** Throws unless `action` throws, or rejects with, an Error whose name or message fits; gives that error. */
export async function expectThrows(action: () => unknown, fits: string | RegExp): Promise<Error> {
  let result: unknown;
  try {
    result = await action();
  } catch (error) {
    ensure(error instanceof Error, `what was thrown is no Error: ${String(error)}`);
    const text = `${error.name}: ${error.message}`;
    ensure(
      typeof fits === "string" ? text.includes(fits) : fits.test(text),
      `it threw "${text}", which does not fit ${String(fits)}`,
    );
    return error;
  }
  throw new ExpectationError(`it threw nothing (but gave ${String(result)}) where ${String(fits)} was expected`);
}
