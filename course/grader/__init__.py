"""The grader: a folder of submissions → grades, tables and pages.

- `grade` is the whole of it: jobs, the processes that run them, what is kept (`results`), and going on where it stopped.
- In: `archives` lists files, `finding` says whose file is which lab, `notebook` reads one in any state, and `submission`
  picks the cells to run and the answers.
- Run: `sandbox` starts processes that know no answer, in the `room` that shows them what they may see. There `worker`
  runs the cells, shut in by `confine`, with `sandbox_checks` for `utils.checks`; `wire` is how values cross.
- Out: `entries` says what counts, `tables` is for gradebooks, `written` for answers that people mark, `alike` finds
  look-alikes, and `report` makes the pages and writes all.
"""
