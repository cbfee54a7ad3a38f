"""The machine that proves the documentation: it runs the notebooks and renders README.md from that run.

    project.py          all that it knows of this project; the rest serves any other as it is
    notebooks.py        reading them, and the rules that their authors keep
    kernels.py          where a cell runs: this interpreter, an environment that is the same everywhere
    kernel_startup.py   runs inside every kernel before its first cell
    execute.py          all notebooks side by side, through papermill
    processes.py        nothing that a run started outlives it
    rules.py            how a value is found that can't be the same in two runs, and the values that every project has
    masks.py            what a reader is shown in its place
    normalise.py        an executed notebook → the bytes that are committed
    render.py           the notebooks → README.md
    build.py            the whole run; writes the results, all or none
    check.py            the whole run; says where the committed files differ from it
    terminal.py         a shell that commands are typed into
    transcript.py       a page of such commands and what they say: runs it, and writes it anew

`python -m tools.docs build` and `python -m tools.docs check` are what `make docs` and `make docs-check` call,
`python -m tools.docs.transcript` what `make session` calls.
"""

import sys

# jsonschema, which nbformat imports, takes this to check IRIs, which notebooks have none of, and goes without it where
# it is missing. To import it takes longer than to run a notebook.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
