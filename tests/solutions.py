"""What the solution cells of a lab define."""

from pathlib import Path

import jupytext

LABS = Path(__file__).parents[1] / "labs_solutions"


def solutions_of(name: str) -> dict:
    """The names of a lab's solutions, after its import cell: `solutions_of("02_autograd")`."""
    cells = [cell for cell in jupytext.read(LABS / f"{name}.py").cells if cell.cell_type == "code"]
    imports = next(cell for cell in cells if "setup" not in cell.metadata.get("tags", []))
    names = {"__name__": "__main__"}
    for cell in (imports, *(cell for cell in cells if "exercise" in cell.metadata)):
        exec(cell.source, names)
    return names
