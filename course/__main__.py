"""The command line: `python -m course build [--check] [LAB…]`, `python -m course checkpoint`."""

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
