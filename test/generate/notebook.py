"""Writes test/fixtures/notebook.json, what each cell of the notebook prints, and demo/notebook/pytorch.json, its code in PyTorch.

Run: python3 test/generate/notebook.py NOTEBOOK.txt

NOTEBOOK.txt is the notebook "Getting familiar with torch.autograd" as text: `In [n]:`, the cell's code, and below an empty line what it
printed. The two are told apart by how output begins: with a label that the code prints, or as PyTorch shows a value. Needs PyTorch and
NumPy: the code of every cell is run, and what it prints must be what was found to be its output, or nothing is written.
"""

import ast
import contextlib
import io
import json
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

RANDOM = "11"  # draws a random number: its output differs from run to run


def cells(notebook):
    """Pairs of a label and the lines below it, up to the next cell or heading."""
    label, lines = None, []
    for line in notebook.splitlines():
        start = re.fullmatch(r"In \[(\d+)\]:", line)
        if start or re.match(r"##+ |\$\$|Because y|We pass|One benefit", line) and label is not None:
            if label is not None:
                yield label, lines
            label, lines = (start.group(1) if start else None), []
        elif label is not None:
            lines.append(line)
    if label is not None:
        yield label, lines


def split(lines):
    """The code and the output of a cell."""
    printed = tuple(re.findall(r"print\('(.+?:)", "\n".join(lines)))
    for i, line in enumerate(lines):
        below_empty_line = i > 0 and lines[i - 1] == ""
        if below_empty_line and (line.startswith(("tensor(", *printed)) or line == "None"):
            return lines[:i], lines[i:]
    return lines, []


def run(code, names):
    """What the code prints; as a notebook does, the value of a last line that is an expression is shown."""
    tree = ast.parse("\n".join(code))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(tree, "cell", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            if value is not None:
                print(repr(value))
    return [line.rstrip() for line in output.getvalue().splitlines()]


def write(path, value):
    with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        notebook = file.read()
    names, outputs, codes = {}, [], {}
    for label, lines in cells(notebook):
        code, output = split(lines)
        expected = [line.rstrip() for line in output if line.strip() != ""]
        actual = run(code, names)
        if label != RANDOM and actual != expected:
            sys.exit(f"cell {label} prints {actual} in PyTorch, but its output was read as {expected}")
        outputs.append({"label": label, "output": expected})
        codes[label] = "\n".join(line.rstrip() for line in code).strip()
    write("test/fixtures/notebook.json", outputs)
    write("demo/notebook/pytorch.json", codes)
    print(f"{len(outputs)} cells, {sum(len(cell['output']) for cell in outputs)} lines of output")


main()
