"""The benchmarks: `python -m benchmarks` lists them, `python -m benchmarks NAME … [options]` runs some, in turn."""

import ast
import runpy
import sys
from pathlib import Path

PROGRAMS = {path.stem: path for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))}


def main() -> None:
    words = sys.argv[1:]
    first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    names, options = words[:first], words[first:]
    if unknown := [name for name in names if name not in PROGRAMS]:
        sys.exit(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(PROGRAMS)}.")
    if not names:
        for name, path in PROGRAMS.items():
            print(f"{name:16} {ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))).splitlines()[0]}")
    for name in names:
        print(f"--- {name}", flush=True)
        sys.argv = [name, *options]
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
