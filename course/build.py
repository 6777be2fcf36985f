"""One source, two notebooks: labs_solutions/NN_name.py makes the student's and the solution notebook.

`load` reads a source and says what is wrong with it, by file and line. `solution_notebook` and `student_notebook` make
the notebooks without outputs; `build` adds the outputs of a run and writes both, or compares both with what is there.
"""

import hashlib
import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbgrader import preprocessors as nbgrader
from traitlets import Unicode

from utils import checks

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 1_500_000
CELL_TIMEOUT = 900  # seconds

MARKER = re.compile(r"#\s*%%")
CHECK = re.compile(r'check\("(\d\d\.\d+)"\)')
CARD = re.compile(r"^### Exercise (\d\d\.\d+) · .+\n+(?:●●●|●●○|●○○) · \d+ min · (\d+) points?$", re.MULTILINE)
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
TOP_LEVEL = re.compile(rf"^{BEGIN}.*?^{END}", re.MULTILINE | re.DOTALL)

SETUP = """\
# Setup: run this cell first. Where the course is installed, it does nothing.
{find}
if utils is None:
    raise ModuleNotFoundError(
        "The course is not installed where this notebook runs. In the course's folder run: pip install -e . "
        "(on Colab or Kaggle: upload that folder, and add --no-deps). Then restart the kernel."
    )
if getattr(utils, "COURSE", None) != "torch-labs":
    raise ImportError(
        f"Another module called utils, {{utils.__file__ or list(utils.__path__)[0]}}, hides the course's. "
        "Rename it, or move this notebook to a folder of its own; then restart the kernel."
    )"""
FIND = """\
try:
    import utils
except ModuleNotFoundError:
    utils = None"""
# --no-deps: the torch that is there stays.
FIND_OR_INSTALL = f"""\
import os
import sys

{FIND}
    if "google.colab" in sys.modules or "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        %pip install --quiet --no-deps git+{{address}}
        import utils
"""
COLAB = "https://colab.research.google.com"
BADGE = (
    f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{{project}}/blob/main/notebooks/{{lab}}.ipynb)"
)


class SourceError(Exception):
    """What is wrong with a lab; one `file:line: message` on each line."""


class ClearSolutions(nbgrader.ClearSolutions):
    """nbgrader's, with a stub for each place: in a function, at the start of a line, in Markdown."""

    text_stub = Unicode("*Your answer here.*").tag(config=True)

    def _replace_solution_region(self, cell: NotebookNode, language: str) -> bool:
        before = cell.source
        self.code_stub = {language: f'# your code here\nraise NotAttempted("{cell.metadata.get("exercise")}")'}
        cell.source = TOP_LEVEL.sub("# your code here", cell.source)
        super()._replace_solution_region(cell, language)
        return cell.source != before


@dataclass
class Lab:
    """A source as read: jupytext's cells, and the lines of the file that each cell is made of."""

    path: Path
    cells: list[NotebookNode]
    lines: list[list[tuple[int, str]]]  # per cell: (line number, text)
    kernelspec: dict
    digest: str

    @property
    def number(self) -> str:
        return self.path.stem[:2]

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    def where(self, cell: int, text: str = "") -> str:
        """`labs_solutions/02_autograd.py:17`: the first line of the cell with the text in it, else its first line."""
        found = [number for number, line in self.lines[cell] if text in line]
        return f"{self.name}:{found[0] if found else self.lines[cell][0][0]}"


def sources(root: Path, names: list[str]) -> list[Path]:
    """The sources of the named labs (by number, name or path), all of them when none is named."""
    there = sorted((root / "labs_solutions").glob("[0-9][0-9]_*.py"))
    if not names:
        return there
    chosen = []
    for name in names:
        found = [path for path in there if Path(name).stem in (path.stem, path.stem[:2])]
        if not found:
            raise SourceError(f"There is no lab {name}; there are {', '.join(path.stem for path in there) or 'none'}.")
        chosen += found
    return chosen


# ---------------------------------------------------------------------------------------------- a source and its faults


def load(path: Path) -> Lab:
    """Read a source.

    Raises:
        SourceError: where it breaks a rule of the house (see CONTRIBUTING.md).
    """
    text = path.read_text(encoding="utf-8")
    try:
        notebook = jupytext.reads(text, "py:percent")
    except Exception as error:  # YAML's, nbformat's or jupytext's own
        reason = str(error).splitlines()[0]
        raise SourceError(f"{path.parent.name}/{path.name}:1: jupytext cannot read the header: {reason}") from None
    for cell in notebook.cells:
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's note for writing the script again
    rows = list(enumerate(text.splitlines(), start=1))
    starts = [index for index, (_, line) in enumerate(rows) if MARKER.match(line)]
    lines = [rows[start:stop] for start, stop in zip(starts, [*starts[1:], None])]
    if len(lines) != len(notebook.cells):
        raise SourceError(f"{path.parent.name}/{path.name}:1: text stands before the first cell's `# %%`.")
    lab = Lab(
        path,
        notebook.cells,
        lines,
        dict(notebook.metadata.get("kernelspec", {})),
        hashlib.sha256(text.encode()).hexdigest(),
    )
    if problems := _marks(lab) or [*_frame(lab), *_exercises(lab)] or _leaks(lab):
        raise SourceError("\n".join(problems))
    return lab


def _marks(lab: Lab) -> list[str]:
    """Solution marks that are not opened, not closed, nested, or in a cell that is no exercise."""
    problems = []
    for index, cell in enumerate(lab.cells):
        opened = 0
        for number, line in lab.lines[index]:
            if BEGIN in line and opened:
                problems.append(f"{lab.name}:{number}: BEGIN SOLUTION inside the solution opened in line {opened}.")
            elif BEGIN in line:
                opened = number
                if cell.cell_type == "code" and "exercise" not in cell.metadata:
                    mark = f'# %% exercise="{lab.number}.N"'
                    problems.append(f"{lab.name}:{number}: a solution in a cell that is no exercise; mark it `{mark}`.")
            elif END in line and not opened:
                problems.append(f"{lab.name}:{number}: END SOLUTION with no BEGIN SOLUTION before it.")
            elif END in line:
                opened = 0
        if opened:
            problems.append(f"{lab.name}:{opened}: BEGIN SOLUTION is never closed in its cell.")
    return problems


def _is_setup(cell: NotebookNode) -> bool:
    return "setup" in cell.metadata.get("tags", [])


def _frame(lab: Lab) -> list[str]:
    """Faults of what every lab has: a kernel, a title, the setup cell first, hand_in last, known keys."""
    problems = []
    code = [index for index, cell in enumerate(lab.cells) if cell.cell_type == "code"]
    setups = [index for index in code if _is_setup(lab.cells[index])]
    if lab.kernelspec.get("language") != "python":
        problems.append(f"{lab.where(0)}: the header names no kernelspec of the language python.")
    if lab.cells[0].cell_type != "markdown" or not lab.cells[0].source.startswith("# "):
        problems.append(f"{lab.where(0)}: the first cell must be Markdown and start with the title, `# # NN · Name`.")
    if not setups or setups != code[:1]:
        place = lab.where(setups[-1] if setups else 0)
        problems.append(f'{place}: there must be one setup cell (`# %% tags=["setup"]`), the first code cell.')
    elif any(line and not line.startswith("#") for line in lab.cells[setups[0]].source.splitlines()):
        problems.append(f"{lab.where(setups[0])}: code in the setup cell; the build writes it.")
    hand_in = f'hand_in("{lab.number}")'
    if not code or lab.cells[code[-1]].source.strip() != hand_in:
        problems.append(f"{lab.where(code[-1] if code else 0)}: the last code cell must be {hand_in}.")
    for index, cell in enumerate(lab.cells):
        if unknown := set(cell.metadata) - {"tags", "exercise"}:
            problems.append(
                f"{lab.where(index)}: a cell's mark may be tags or exercise, not {', '.join(sorted(unknown))}."
            )
    return problems


def _exercises(lab: Lab) -> list[str]:
    """Faults of single exercise and check cells, and what `_pairs` finds between them."""
    problems = []
    set_in: dict[str, int] = {}  # id -> index of the exercise cell, and of the check cell
    checked_in: dict[str, int] = {}
    for index, cell in enumerate(lab.cells):
        if (id := cell.metadata.get("exercise")) is not None:
            if not re.fullmatch(rf"{lab.number}\.\d+", id):
                problems.append(f"{lab.where(index)}: exercise {id} is not of the form {lab.number}.N.")
            if id in set_in:
                first = lab.lines[set_in[id]][0][0]
                problems.append(f"{lab.where(index)}: exercise {id} is there twice; first in line {first}.")
            if BEGIN not in cell.source:
                problems.append(f"{lab.where(index)}: exercise {id} has no solution between its marks.")
            set_in.setdefault(id, index)
        if match := CHECK.fullmatch(cell.source.strip()):
            if match[1] in checked_in:
                problems.append(f"{lab.where(index, 'check(')}: {match[1]} is checked twice.")
            checked_in.setdefault(match[1], index)
        elif cell.cell_type == "code" and re.search(r"^check\(", cell.source, re.MULTILINE):
            problems.append(f'{lab.where(index, "check(")}: a check cell is one line, check("{lab.number}.N").')
    return problems + _pairs(lab, set_in, checked_in)


def _pairs(lab: Lab, set_in: dict[str, int], checked_in: dict[str, int]) -> list[str]:
    """Exercises, cards, check cells and registered checks that do not fit together."""
    problems = []
    registered = checks.exercises(lab.number)
    markdown = [(index, cell) for index, cell in enumerate(lab.cells) if cell.cell_type == "markdown"]
    cards = {card[1]: (index, int(card[2])) for index, cell in markdown for card in CARD.finditer(cell.source)}
    for id, index in set_in.items():
        if id not in checked_in:
            problems.append(f'{lab.where(index)}: exercise {id} has no check cell, check("{id}").')
        elif checked_in[id] < index:
            problems.append(f"{lab.where(checked_in[id], 'check(')}: exercise {id} is checked before it is set.")
        if id not in cards:
            form = f"`### Exercise {id} · …`, then `●○○ · 6 min · 2 points`"
            problems.append(f"{lab.where(index)}: exercise {id} has no card: {form}.")
        elif id in registered and registered[id].points != cards[id][1]:
            place = lab.where(cards[id][0], f"Exercise {id}")
            problems.append(f"{place}: the card of {id} says {cards[id][1]} points, the check {registered[id].points}.")
    for id, index in checked_in.items():
        if id not in set_in:
            problems.append(f"{lab.where(index, 'check(')}: check of {id}, which is no exercise of this lab.")
        if id not in registered:
            problems.append(f"{lab.where(index, 'check(')}: no check of {id} is registered in utils.checks.")
    unset = [id for id in registered if id not in set_in]
    return problems + [f"{lab.name}:1: utils.checks has a check of {id}, which is no exercise here." for id in unset]


def _solution_lines(lab: Lab) -> set[str]:
    """The lines that give a solution away: long enough to say something, and no import or header of a block."""
    found, inside = set(), False
    for _, line in (row for rows in lab.lines for row in rows):
        text = line.strip().removeprefix("# ")
        common = len(text) < 24 or text.endswith(":") or text.startswith(("import ", "from ", "@", "super()."))
        if BEGIN in line or END in line:
            inside = BEGIN in line
        elif inside and not common:
            found.add(text)
    return found


def _leaks(lab: Lab) -> list[str]:
    """Lines of a solution that the student's notebook shows elsewhere."""
    student = student_notebook(solution_notebook(lab, ""))
    return [
        f"{lab.where(index, line)}: a line of a solution stands here for students to read: {line}"
        for line in sorted(_solution_lines(lab))
        for index, cell in enumerate(student.cells)
        if line in cell.source
    ]


# -------------------------------------------------------------------------------------------------------- the notebooks


def repository(root: Path = ROOT) -> str:
    """The address that stands in pyproject.toml, or an empty string."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository", "")


def setup_cell(address: str) -> str:
    """The source of the first code cell of every notebook."""
    return SETUP.format(find=FIND_OR_INSTALL.format(address=address) if address else FIND)


def solution_notebook(lab: Lab, address: str) -> NotebookNode:
    """The lab as a valid nbgrader assignment with its solutions, without outputs."""
    points = {id: item.points for id, item in checks.exercises(lab.number).items()}
    notebook = nbformat.v4.new_notebook()
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": lab.kernelspec,
            "language_info": {"name": "python"},
            # The digest makes `build --check` see every change of the source, a blank line's too.
            "torch_labs": {"source": lab.name, "sha256": lab.digest},
        }
    )
    seen: dict[str, int] = {}
    for cell in lab.cells:
        made = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        made = made(setup_cell(address) if _is_setup(cell) else cell.source, metadata=dict(cell.metadata))
        made.id = _cell_id(cell)
        seen[made.id] = seen.get(made.id, 0) + 1
        if seen[made.id] > 1 or made.id == "written":
            made.id += f"-{seen[made.id]}"
        if made.id.startswith("exercise-"):
            made.metadata["nbgrader"] = _nbgrader(made.id, solution=True)
        elif made.id.startswith("check-"):
            made.metadata["nbgrader"] = _nbgrader(
                made.id, grade=True, locked=True, points=points[CHECK.fullmatch(made.source.strip())[1]]
            )
        elif made.id.startswith("written-"):  # nbgrader wants a written answer to be graded; nobody counts its points
            made.metadata["nbgrader"] = _nbgrader(made.id, solution=True, grade=True, points=0)
        notebook.cells.append(made)
    if address.startswith("https://github.com/"):  # Colab opens notebooks from there
        title, _, rest = notebook.cells[0].source.partition("\n")
        project = address.removeprefix("https://github.com/").removesuffix(".git").strip("/")
        notebook.cells[0].source = f"{title}\n\n{BADGE.format(project=project, lab=lab.path.stem)}\n{rest}"
    return notebook


def _cell_id(cell: NotebookNode) -> str:
    """An id that depends on the cell alone, so that building twice gives the same bytes."""
    if "exercise" in cell.metadata:
        return f"exercise-{cell.metadata['exercise'].replace('.', '-')}"
    if match := CHECK.fullmatch(cell.source.strip()):
        return f"check-{match[1].replace('.', '-')}"
    if _is_setup(cell):
        return "setup"
    if re.fullmatch(r'hand_in\("\d\d"\)', cell.source.strip()):
        return "hand-in"
    if cell.cell_type == "markdown" and BEGIN in cell.source:
        return "written"
    return hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]


def _nbgrader(id: str, *, grade=False, solution=False, locked=False, **points) -> dict:
    return {
        "schema_version": 3,
        "grade_id": id,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
        **points,
    }


def student_notebook(solution: NotebookNode) -> NotebookNode:
    """The same with its solutions replaced by stubs and without outputs, by nbgrader's own steps."""
    notebook = nbformat.from_dict(solution)
    for step in (nbgrader.LockCells(), ClearSolutions(), nbgrader.ClearOutput(), nbgrader.CheckCellMetadata()):
        notebook, _ = step.preprocess(notebook, {})
    return notebook


# ---------------------------------------------------------------------------------------------------------- the outputs


def execute(lab: Lab, notebook: NotebookNode, say: Callable[[str], None]) -> None:
    """Run the solution notebook beside its source, with the checks strict; its outputs are tidied and kept.

    Raises:
        SourceError: naming the cell that raised.
    """
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT, record_timing=False, store_widget_state=False)
    client.resources = {"metadata": {"path": str(lab.path.parent)}}
    metadata = nbformat.from_dict(notebook.metadata)
    try:
        client.execute(env={**os.environ, "LABS_STRICT": "1"})
    except CellExecutionError as error:
        failed = max(index for index, cell in enumerate(notebook.cells) if cell.get("outputs"))
        raise SourceError(f"{lab.where(failed)}: this cell raised {error.ename}: {error.evalue}") from None
    notebook.metadata = metadata  # nbclient notes the Python version there
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.outputs, dropped = tidy(cell.outputs)
            if dropped:
                say(f"{lab.where(index)}: stderr left out: {dropped.strip().splitlines()[-1][:120]}")


def tidy(outputs: list[NotebookNode]) -> tuple[list[NotebookNode], str]:
    """Outputs as they are kept: no stderr (progress bars, warnings), no live widget, joined prints.

    Returns:
        the outputs, and the stderr that was left out.
    """
    kept, dropped = [], ""
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stderr":
                dropped += output.text
            elif kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
            else:
                kept.append(output)
            continue
        widget = "data" in output and output.data.pop("application/vnd.jupyter.widget-view+json", None)
        if not (widget and set(output.data) <= {"text/plain"}):  # a widget with no static picture leaves nothing
            kept.append(output)
    return kept, dropped


def keep_outputs(notebook: NotebookNode, old: NotebookNode) -> None:
    """Give the cells that did not change the outputs that they had."""
    before = {(cell.id, cell.source): cell for cell in old.cells if cell.cell_type == "code"}
    for cell in notebook.cells:
        if cell.cell_type == "code" and (cell.id, cell.source) in before:
            same = before[cell.id, cell.source]
            cell.outputs, cell.execution_count = same.outputs, same.execution_count


# ------------------------------------------------------------------------------------------------------------- building


def build(source: Path, *, check: bool = False, run: bool = True, say: Callable[[str], None] = print) -> list[str]:
    """Write both notebooks of a lab, or (with `check`) compare both with what is there.

    Args:
        source: labs_solutions/NN_name.py.
        check: write nothing.
        run: execute the solution notebook; else its unchanged cells keep their outputs.
        say: takes one line of news at a time.

    Returns:
        what is stale, one line each; empty unless `check`.

    Raises:
        SourceError: where the source is wrong, a cell of it raises, or a notebook comes out too large.
    """
    root = source.resolve().parents[1]
    lab = load(source)
    solution = solution_notebook(lab, repository(root))
    student = student_notebook(solution)
    solution_path = source.with_suffix(".ipynb")
    student_path = root / "notebooks" / solution_path.name
    if check:
        return stale(solution, solution_path) + stale(student, student_path, unexecuted=True)
    if run:
        execute(lab, solution, say)
    elif solution_path.exists():
        keep_outputs(solution, nbformat.read(solution_path, as_version=4))
    size = len(nbformat.writes(solution).encode())
    if size > MAX_BYTES:
        raise SourceError(f"{lab.name}:1: the notebook has {size / 1e6:.1f} MB, the limit is {MAX_BYTES / 1e6} MB.")
    student_path.parent.mkdir(exist_ok=True)
    for notebook, path in ((solution, solution_path), (student, student_path)):
        nbformat.validate(notebook)
        nbformat.write(notebook, path)
        say(f"{path.parent.name}/{path.name}")
    return []


def stale(wanted: NotebookNode, path: Path, *, unexecuted: bool = False) -> list[str]:
    """How a notebook differs from what its source gives, outputs and execution counts aside."""
    name = f"{path.parent.name}/{path.name}"
    if not path.exists():
        return [f"{name}: not built yet."]
    try:
        there = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except Exception as error:  # json's, or nbformat's own
        return [f"{name}: no notebook: {error}"]
    parts = ("metadata", "nbformat", "nbformat_minor")
    lines = [f"{name}: the notebook's {part} differs." for part in parts if there[part] != wanted[part]]
    have, want = ([cell.get("id") for cell in notebook.cells] for notebook in (there, wanted))
    lines += [f"{name}: cell {id} is missing." for id in want if id not in have]
    lines += [f"{name}: cell {id} is not in the source." for id in have if id not in want]
    if set(have) == set(want) and have != want:
        lines.append(f"{name}: the cells stand in another order, or one stands twice.")
    old = {cell.get("id"): cell for cell in there.cells}
    for cell, was in ((cell, old[cell.id]) for cell in wanted.cells if cell.id in old):
        keys = sorted((cell.keys() | was.keys()) - {"outputs", "execution_count"})
        lines += [f"{name}: cell {cell.id}: {key} differs." for key in keys if cell.get(key) != was.get(key)]
        if unexecuted and was.get("outputs"):
            lines.append(f"{name}: cell {cell.id} has outputs; students' notebooks are kept unexecuted.")
    return lines
