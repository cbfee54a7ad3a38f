"""The machine that proves the documentation: it runs the notebooks and renders README.md from that run.

    notebooks.py        reading them, and the rules that their authors keep
    kernels.py          where a cell runs: this interpreter, an environment that is the same everywhere
    kernel_startup.py   runs inside every kernel before its first cell
    execute.py          all notebooks side by side, through papermill
    processes.py        nothing that a run started outlives it
    masks.py            what can't be the same in two runs, and how a reader is told
    normalise.py        an executed notebook → the bytes that are committed
    render.py           the notebooks → README.md
    build.py            the whole run; writes the results, all or none
    check.py            the whole run; says where the committed files differ from it

`python -m docs build` and `python -m docs check` are what `make docs` and `make docs-check` call.
"""
