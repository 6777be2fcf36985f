"""The command line of authors and instructors: `python -m course build`, `checkpoint`, `grade`, `merge`."""

from pathlib import Path
from typing import Annotated

import typer

from . import build as building

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """torch-labs for authors and instructors."""


@app.command()
def build(
    labs: Annotated[
        list[str] | None, typer.Argument(help="Labs by number or name, such as 02; all when none is named.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; list what is stale, and exit 1 if anything is.")
    ] = False,
    run: Annotated[
        bool, typer.Option(help="Execute the solution notebook, or keep the outputs of unchanged cells.")
    ] = True,
) -> None:
    """Make the student's and the solution notebook of each lab from labs_solutions/NN_name.py."""
    try:
        sources = building.sources(building.ROOT, labs or [])
        stale = [line for path in sources for line in building.build(path, check=check, run=run, say=typer.echo)]
    except building.SourceError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for line in stale:
        typer.echo(line, err=True)
    if stale:
        typer.echo("Build again: python -m course build (with --no-run if no output changes).", err=True)
        raise typer.Exit(1)
    typer.echo(f"{len(sources)} labs {'are up to date' if check else 'built'}.")


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="A folder of notebooks, in any layout; .zip files are looked into.")],
    out: Annotated[Path, typer.Option(help="The folder for the grades; grading that was broken off goes on there.")],
    lab: Annotated[str | None, typer.Option(help="Grade this lab only, such as 02.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="The filled-in unplaced.csv: whose file is which lab.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Submissions graded at once on this machine.")] = 1,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, to grade on its cluster.")] = None,
    seed: Annotated[str | None, typer.Option(help="Of the checks' inputs; else drawn, and kept in the folder.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="A new Python for each submission; slower.")] = False,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Without a sandbox: students' code can do what you can.")] = False,
    cell_seconds: Annotated[float, typer.Option(help="Wall time for all cells of a notebook.")] = 300,
    check_seconds: Annotated[float, typer.Option(help="Wall time for one case of a check.")] = 30,
    memory: Annotated[float, typer.Option(help="GB of memory for one submission, beside what torch takes.")] = 4,
) -> None:
    """Grade submissions, each in a sandbox: grades.csv, a page for each student, a page for you."""
    from .grader import grade as grading  # here, so that `build` need not wait for it
    from .grader.room import SandboxError
    from .grader.sandbox import Limits

    try:
        executor, jobs = grading.on_cluster(dask) if dask else (None, jobs)
        limits = Limits(cell_seconds=cell_seconds, check_seconds=check_seconds, memory=int(memory * 2**30))
        grading.grade(
            submissions, out, lab, mapping, seed, limits,
            mode="unsafe" if unsafe else "fresh" if fresh else "fork", executor=executor, jobs=jobs,
        )
    except (grading.GradeError, SandboxError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(f"Stopped. What is graded is kept in {out}; the same command goes on from there.", err=True)
        raise typer.Exit(130) from None
    _say_where(out)


def _say_where(out: Path) -> None:
    typer.echo(f"Grades: {out / 'grades.csv'}. Overview: {out / 'index.html'}. Feedback: {out / 'feedback'}.")


@app.command()
def merge(
    sheet: Annotated[Path, typer.Argument(help="written.csv with points and comments filled in, saved as CSV.")],
    out: Annotated[Path, typer.Option(help="The folder of the grades.")],
) -> None:
    """Take the points of written answers into the grades; nothing is graded anew."""
    from .grader import grade as grading
    from .grader.written import SheetError

    try:
        problems = grading.merge(out, sheet)
    except (grading.GradeError, SheetError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for sentence in problems:
        typer.echo(sentence, err=True)
    _say_where(out)


@app.command()
def checkpoint(
    out: Annotated[Path | None, typer.Option(help="The folder to write to, in the place of utils/weights.")] = None,
    short: Annotated[bool, typer.Option("--short", help="2,000 images, one epoch: does it run? Needs --out.")] = False,
) -> None:
    """Train the network that ships with the course (nine minutes on two idle cores), and write it with its facts."""
    from . import checkpoint as making  # here, so that `build` need not wait for torch

    try:
        making.make(out, short, say=typer.echo)
    except making.CheckpointError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
