/**
 * Runs portable tests on the CPU in a process where nothing can be compiled at run time, as under the strictest policy of a page: to be started
 * with `node --disallow-code-generation-from-strings test/support/forbidden.ts [suite ...]`. Prints one line of JSON a test, and a last one with what is
 * forbidden.
 */

const refuse = (): never => {
  throw new WebAssembly.CompileError("WebAssembly compilation is disallowed by embedder");
};
WebAssembly.Module = new Proxy(WebAssembly.Module, { construct: refuse });
for (const name of ["compile", "instantiate", "compileStreaming", "instantiateStreaming"] as const)
  WebAssembly[name] = refuse;

// What is imported may try at once what is forbidden.
const [{ casesOf }, { hostSuites }, { suites }, { init }] = await Promise.all([
  import("./portable.ts"),
  import("./host.ts"),
  import("../portable/suites.ts"),
  import("#tapegrad"),
]);

function isRefused(attempt: () => unknown): boolean {
  try {
    attempt();
    return false;
  } catch {
    return true;
  }
}

const wanted = new Set(process.argv.slice(2));
const host = hostSuites(suites);
for (const which of casesOf(suites)) {
  if (which.device !== "cpu" || !wanted.has(which.suite)) continue;
  const start = performance.now();
  const outcome = await host.run(which);
  console.log(JSON.stringify({ ...which, outcome, milliseconds: Math.round(performance.now() - start) }));
}
const { description } = await init({ device: "cpu" });
console.log(
  JSON.stringify({
    description,
    functions: isRefused(() => new Function("return 1")),
    modules: isRefused(() => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))),
  }),
);
