"""What authors and instructors run: `python -m course --help`. Notebooks never import this package."""
