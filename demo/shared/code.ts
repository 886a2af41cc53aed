/** Code on a page, coloured by highlight.js. */

import hljs from "highlight.js/lib/core";
import python from "highlight.js/lib/languages/python";
import typescript from "highlight.js/lib/languages/typescript";
import { element, keepScrollable } from "./dom.ts";

hljs.registerLanguage("python", python);
hljs.registerLanguage("typescript", typescript);

/** A program as users of the library write it, who import it by its name. */
export function asUsersWrite(program: string): string {
  return program.replaceAll('"#tapegrad"', '"tapegrad"');
}

/** A block of code; the style sheet says which colours its parts have. */
export function codeBlock(code: string, language: "typescript" | "python"): HTMLElement {
  const text = element("code", { class: `language-${language}` });
  text.innerHTML = hljs.highlight(code, { language }).value;
  const block = element("pre", { class: "code" }, text);
  keepScrollable(block);
  return block;
}
