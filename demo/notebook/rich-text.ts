/** The notebook's text, formulas and code as HTML: Markdown by marked, formulas by KaTeX, colours by highlight.js. */

import hljs from "highlight.js/lib/core";
import python from "highlight.js/lib/languages/python";
import typescript from "highlight.js/lib/languages/typescript";
import katex from "katex";
import { Marked } from "marked";

hljs.registerLanguage("python", python);
hljs.registerLanguage("typescript", typescript);

const marked = new Marked({
  async: false,
  extensions: [
    {
      name: "formula",
      level: "inline",
      start: (source) => source.indexOf("$"),
      tokenizer(source) {
        const found = /^\$([^$\n]+)\$/.exec(source);
        return found === null ? undefined : { type: "formula", raw: found[0], text: found[1]! };
      },
      renderer: ({ text }) => katex.renderToString(text as string),
    },
  ],
});

/** HTML of a text in Markdown, with formulas between dollar signs. */
export function markdownHtml(markdown: string): string {
  return marked.parse(markdown, { async: false });
}

/** HTML of a formula in TeX, on a line of its own. */
export function formulaHtml(tex: string): string {
  return katex.renderToString(tex, { displayMode: true });
}

/** HTML of code, coloured by classes. */
export function codeHtml(code: string, language: "typescript" | "python"): string {
  return hljs.highlight(code, { language }).value;
}
