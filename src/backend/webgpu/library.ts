/** The functions of shaders/*.wgsl, and the smallest set of them that a piece of shader code needs. */

import { SHADERS } from "./shaders.generated.ts";

interface Declaration {
  readonly name: string;
  readonly text: string;
  /** Names of other declarations that it uses. */
  readonly uses: readonly string[];
}

/** Files whose declarations may be included one by one; the others are frames of whole kernels. */
const LIBRARY_FILES = ["base", "exponential", "trigonometric", "hyperbolic", "special", "random"] as const;

let declarations: Map<string, Declaration> | null = null;

function all(): Map<string, Declaration> {
  if (declarations !== null) return declarations;
  const texts = new Map<string, string>();
  for (const file of LIBRARY_FILES) {
    for (const text of SHADERS[file].split(/^(?=fn |const )/m)) {
      const name = /^(?:fn|const) (\w+)/.exec(text)?.[1];
      if (name !== undefined) texts.set(name, text.trimEnd());
    }
  }
  declarations = new Map();
  for (const [name, text] of texts) {
    const uses = new Set<string>();
    for (const [word] of text.matchAll(/\w+/g)) if (word !== name && texts.has(word)) uses.add(word);
    declarations.set(name, { name, text, uses: [...uses] });
  }
  return declarations;
}

/** Declarations that `code` uses, and those that they use, in the library's order. */
export function libraryFor(code: string): string {
  const known = all();
  const needed = new Set<string>();
  const visit = (name: string): void => {
    if (needed.has(name)) return;
    needed.add(name);
    for (const other of known.get(name)!.uses) visit(other);
  };
  for (const [word] of code.matchAll(/\bt_\w+/g)) if (known.has(word)) visit(word);
  const texts: string[] = [];
  for (const [name, declaration] of known) if (needed.has(name)) texts.push(declaration.text);
  return texts.length === 0 ? "" : `${texts.join("\n")}\n`;
}
