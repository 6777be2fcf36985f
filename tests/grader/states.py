"""Notebooks in the states in which students hand them in, made from the released ones."""

import copy
import json
import re
from pathlib import Path

import nbformat

from course.grader.submission import release

ROOT = Path(__file__).parents[2]


def untouched(lab: str = "02") -> dict:
    return json.loads((ROOT / "notebooks" / f"{release(lab).name}.ipynb").read_text(encoding="utf-8"))


def solved(lab: str = "02") -> dict:
    """The released notebook with every exercise filled in."""
    notebook = untouched(lab)
    source = json.loads((ROOT / "labs_solutions" / f"{release(lab).name}.ipynb").read_text(encoding="utf-8"))
    solutions = {cell["id"]: cell["source"] for cell in source["cells"]}
    for cell in notebook["cells"]:
        if cell["id"].startswith("exercise-"):
            cell["source"] = solutions[cell["id"]]
    return notebook


def raw(notebook) -> bytes:
    return json.dumps(notebook).encode()


def text(cell: dict) -> str:
    return "".join(cell["source"])


def code(source: str, **more) -> dict:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None, **more}


def is_exercise(cell: dict) -> bool:
    return cell.get("id", "").startswith("exercise-")


def is_sentence(reason: str) -> bool:
    return bool(re.fullmatch(r"[A-Z][^\n]{10,400}\.", reason)) and reason.isprintable()


def ids_lost(notebook: dict) -> dict:
    """As tools of format 4.4 and older save it, and tools that keep no metadata of a cell."""
    notebook = copy.deepcopy(notebook) | {"nbformat_minor": 2}
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"] = {}
    return notebook


def moved(notebook):
    """The exercises first, the last of them first of all; then the rest."""
    cells = notebook["cells"]
    return notebook | {
        "cells": [*filter(is_exercise, reversed(cells)), *(cell for cell in cells if not is_exercise(cell))]
    }


def duplicated(notebook):
    return notebook | {"cells": [cell for cell in notebook["cells"] for _ in range(2)]}


def stubs_copied_below(notebook):
    stubs = [cell | {"id": f"copy{n}"} for n, cell in enumerate(untouched()["cells"]) if is_exercise(cell)]
    return notebook | {"cells": [*notebook["cells"], *stubs]}


def stubs_reformatted_below(notebook):
    stubs = [
        code(text(cell).replace('"', "'").replace("# your code here", "# TODO") + "\n\n")
        for cell in untouched()["cells"]
        if is_exercise(cell)
    ]
    return notebook | {"cells": [*notebook["cells"], *stubs]}


def split(notebook):
    """Each exercise cut in three, inside a body where there is one, as Ctrl+Shift+Minus does."""
    cells = []
    for cell in notebook["cells"]:
        lines = text(cell).split("\n")
        cuts = [n for n in range(1, len(lines)) if lines[n].strip() and not lines[n].startswith(("     ", "    Args"))]
        if not is_exercise(cell) or len(cuts) < 2:
            cells.append(cell)
            continue
        a, b = cuts[len(cuts) // 3], cuts[-1]
        parts = ["\n".join(lines[:a]).rstrip("\n"), "\n".join(lines[a:b]).strip("\n"), "\n".join(lines[b:])]
        cells += [
            cell | {"source": part, "id": f"{cell['id']}{'bc'[n - 1] if n else ''}"}
            for n, part in enumerate(parts)
            if part
        ]
    return notebook | {"cells": cells}


def only_answers(notebook):
    return notebook | {"cells": [cell for cell in notebook["cells"] if is_exercise(cell)]}


def retyped(kind, make=str):
    def state(notebook):
        cells = [{"cell_type": kind, "metadata": {}, "id": cell["id"], "source": make(text(cell))} if is_exercise(cell) else cell
                 for cell in notebook["cells"]]  # fmt: skip
        return notebook | {"cells": cells}

    return state


def format_3(notebook):
    old = nbformat.convert(nbformat.reads(json.dumps(notebook), as_version=4), 3)
    return json.loads(nbformat.v3.writes_json(old))


def format_5(notebook):
    return notebook | {"nbformat": 5, "nbformat_minor": 1, "future": {"cells": 1}}


def colab(notebook):
    """Colab keeps a cell's id in its metadata, and adds its own."""
    notebook = copy.deepcopy(notebook) | {"nbformat": 4, "nbformat_minor": 0, "metadata": {"colab": {"provenance": []}}}
    for cell in notebook["cells"]:
        cell["metadata"] = {"id": cell.pop("id"), "colab": {"base_uri": "https://localhost:8080/"}, "outputId": "4711"}
    return notebook


def colab_new_ids(notebook):
    notebook = colab(notebook)
    for n, cell in enumerate(notebook["cells"]):
        cell["metadata"]["id"] = f"qX{n:04}yZ"
    return notebook


def kaggle(notebook):
    notebook = copy.deepcopy(notebook) | {"nbformat": 4, "nbformat_minor": 4}
    notebook["metadata"] = {"kaggle": {"accelerator": "none"}, "kernelspec": {"name": "python3"}, "papermill": {}}
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"] = {
            "_uuid": "8f2839f25d086af736a60e9eeb907d3b93b6e0e5",
            "execution": {"iopub.status.busy": "2024"},
            "trusted": True,
        }
    return notebook


def checks_deleted(notebook):
    return notebook | {
        "cells": [cell for cell in notebook["cells"] if not cell["id"].startswith(("check-", "hand-in"))]
    }


def checks_edited(notebook):
    cells = [cell | {"source": f"def check(id):\n    return 'correct'\nprint({text(cell)})"} if cell["id"].startswith("check-") else cell
             for cell in notebook["cells"]]  # fmt: skip
    return notebook | {"cells": cells}


def answers_elsewhere(place):
    """The stubs are as they were; the answers stand in new cells, all before or all after."""

    def state(notebook):
        answers = [code(text(cell), id=f"new{n}") for n, cell in enumerate(notebook["cells"]) if is_exercise(cell)]
        return notebook | {
            "cells": answers + untouched()["cells"] if place == "above" else untouched()["cells"] + answers
        }

    return state


def answers_in_cells(prefix):
    """The stubs are as they were; the answers are written into cells that were something else."""

    def state(notebook):
        answers = [text(cell) for cell in notebook["cells"] if is_exercise(cell)]
        other = untouched()
        places = [cell for cell in other["cells"] if cell["cell_type"] == "code" and prefix(cell)]
        for cell, answer in zip(places, answers):
            cell["source"] = f"{text(cell)}\n\n\n{answer}"
        places[-1]["source"] = "\n\n\n".join([text(places[-1]), *answers[len(places) :]])
        return other

    return state


def magics(notebook):
    cells = [cell | {"source": f"%%time\n{text(cell)}"} if is_exercise(cell) else cell for cell in notebook["cells"]]
    return notebook | {
        "cells": [
            code("%pip --version"), code("!true\n%matplotlib inline\nimport math"), *cells, code("%unknown\n!false"),
        ]
    }  # fmt: skip


def fails_half_way(notebook):
    cells = []
    for cell in notebook["cells"]:
        cells.append(cell | {"source": f"{text(cell)}\n\n\nprint(undefined)\n1 / 0"} if is_exercise(cell) else cell)
        cells.append(code("raise SystemError('stop')"))
        cells.append(code("def broken(:"))
    return notebook | {"cells": cells}


def wrong_kernel(notebook):
    return notebook | {
        "metadata": {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}, "language_info": {"name": "R"}}
    }


def metadata_gone(notebook):
    return {"cells": [{key: cell[key] for key in ("cell_type", "source")} for cell in notebook["cells"]]}


def demos_edited(notebook):
    cells = [
        cell | {"source": f"print(undefined)\n{text(cell)}"} if "demo" in cell["metadata"].get("tags", []) else cell
        for cell in notebook["cells"]
    ]
    return notebook | {"cells": cells}


def reformatted(notebook):
    cells = [cell | {"source": text(cell).replace("\n", "\r\n") + "\r\n"} for cell in notebook["cells"]]
    return notebook | {"cells": cells}


def many_outputs(notebook):
    output = {"output_type": "stream", "name": "stdout", "text": ["epoch, loss: 1, 2, 3\n" * 200_000]}
    return notebook | {
        "cells": [cell | {"outputs": [output]} if is_exercise(cell) else cell for cell in notebook["cells"]]
    }


def damaged(notebook):
    strange = [None, 7, "text", [], {}, {"cell_type": "code"}, {"cell_type": 3, "source": 4},
               {"cell_type": "code", "source": [1, None, "x = 1"]},
               {"cell_type": "code", "metadata": [], "source": "y = 2", "id": 5}, code("\ud800 = 1\x00")]  # fmt: skip
    return notebook | {"cells": [*strange, *notebook["cells"]], "metadata": None, "nbformat": "four"}


STATES = {
    "as it should be": dict,
    "moved": moved,
    "duplicated": duplicated,
    "stubs copied below": stubs_copied_below,
    "stubs copied below and reformatted": stubs_reformatted_below,
    "split": split,
    "all but the answers deleted": only_answers,
    "Markdown": retyped("markdown"),
    "raw": retyped("raw"),
    "Markdown, fenced": retyped("markdown", lambda source: f"My answer:\n\n```python\n{source}\n```\n"),
    "ids lost": ids_lost,
    "Markdown, ids lost": lambda notebook: ids_lost(retyped("markdown")(notebook)),
    "split, ids lost": lambda notebook: ids_lost(split(notebook)),
    "format 3": format_3,
    "format 5": format_5,
    "Colab": colab,
    "Colab, new ids": colab_new_ids,
    "Kaggle": kaggle,
    "checks deleted": checks_deleted,
    "checks edited": checks_edited,
    "answers elsewhere, above": answers_elsewhere("above"),
    "answers elsewhere, below": answers_elsewhere("below"),
    "answers in demo cells": answers_in_cells(lambda cell: "demo" in cell["metadata"].get("tags", [])),
    "answers in check cells": answers_in_cells(lambda cell: cell["id"].startswith("check-")),
    "answers in the setup cell": answers_in_cells(lambda cell: cell["id"] == "setup"),
    "magics": magics,
    "cells fail half-way": fails_half_way,
    "wrong kernel": wrong_kernel,
    "metadata gone": metadata_gone,
    "demos edited": demos_edited,
    "line ends of Windows": reformatted,
    "40 MB of outputs": many_outputs,
    "damaged cells": damaged,
}
