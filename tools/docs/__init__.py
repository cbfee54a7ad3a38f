"""The machine that proves the documentation: it runs the notebooks and renders README.md from that run.

    project.py          all that it knows of this project; the rest serves any other as it is
    notebooks.py        reading them, and the rules that their authors keep
    kernels.py          where a cell runs: this interpreter, an environment that is the same everywhere
    kernel_startup.py   runs inside every kernel before its first cell: turns at what is expensive
    kernel_asserts.py   so does this: an assert that fails says what it compared
    execute.py          all notebooks side by side, through papermill
    runs.py             one notebook's run: its cells as tests with their seconds, and what stopped it
    relay.py            what passes between a notebook and its server, written down
    processes.py        nothing that a run started outlives it
    rules.py            how a value is found that can't be the same in two runs, and the values that every project has
    masks.py            what a reader is shown in its place
    normalise.py        an executed notebook → the bytes that are committed
    records.py          what is written down of a run beside the outputs: what they were made from, and the calls
    wrapping.py         a long line of an output, broken
    render.py           the notebooks → README.md
    links.py            every link leads somewhere
    junit.py            a run as a report of tests
    build.py            the whole run; writes the results, all or none
    check.py            where the committed files differ from a run: stale, wrong or flaky
    gate.py             what `build` and `check` do with that
    unchanged.py        whether anything changed since the last run, told without one
    trial.py            copies of the notebooks on somebody else's server
    lab.py              a copy of the notebooks in JupyterLab
    terminal.py         a shell that commands are typed into
    transcript.py       a page of such commands and what they say: runs it, and writes it anew

`python -m tools.docs` with `build`, `check`, `lab` and `keep` is what `make docs`, `make docs-check`, `make lab` and
`make keep` call, with `try` a part of `make conformance`; `python -m tools.docs.transcript` is `make session`.
"""

import sys

# jsonschema, which nbformat imports, takes this to check IRIs, which notebooks have none of, and goes without it where
# it is missing. To import it takes longer than to run a notebook.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
