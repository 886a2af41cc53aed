/** The notebook's text and formulas as HTML: Markdown by marked, formulas by KaTeX. */

import katex from "katex";
import { Marked } from "marked";

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
