"""From an executed notebook to the bytes that are committed: the same on every machine, at every time."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.docs.masks import Masks, refused
from tools.docs.notebooks import Problem, Refused, node, tags

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_FOLDED = {"check": "hide-cell", "hidden": "hide-cell", "picture": "hide-input"}
"""Tags of cells whose code is shown folded, since a reader may look, and need not; and the tag that says so to Jupyter
Book, MyST-NB and what reads theirs. JupyterLab goes by `source_hidden`."""
OUTPUT_LINES = 200
OUTPUT_CHARACTERS = 20_000
"""What a cell may put out at most: more is no documentation."""
PICTURE = "picture"
"""The tag of cells whose prose or output README.md shows at the top of what it is a picture of."""
_README = {"text/plain", "text/markdown"}
"""What a template of README.md can show."""
_SAYS_NOTHING = re.compile(r"<[\w.]+ object>")
"""What IPython's own displays are in plain text: `<IPython.core.display.HTML object>`."""
INJECTED = "injected-parameters"
"""The tag of the cell that papermill adds after the one with the parameters."""


def without_outputs(notebook: Any) -> Any:
    """Return the notebook as its author wrote it: nothing of an earlier run is left."""
    cells = []
    for cell in notebook.cells:
        if INJECTED in tags(cell):
            continue
        bare = {"id": cell.id, "cell_type": cell.cell_type, "source": cell.source, "metadata": {}}
        folded = [_FOLDED[tag] for tag in tags(cell) if tag in _FOLDED] if cell.cell_type == "code" else []
        if tagged := list(dict.fromkeys([*tags(cell), *folded])):
            bare["metadata"] = {"tags": tagged}
        if folded:
            bare["metadata"]["jupyter"] = {"source_hidden": True}
        if "attachments" in cell:
            bare["attachments"] = cell.attachments
        if cell.cell_type == "code":
            bare |= {"outputs": [], "execution_count": None}
        cells.append(bare)
    metadata = {"kernelspec": dict(_KERNEL)}
    return node({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def normalise(name: str, executed: Any, *, private: Sequence[Path]) -> Any:
    """Return the notebook in the form that is committed.

    `private` are folders whose paths no output may tell.

    Raises:
        Refused: with every output that readers must not or could not use.
    """
    notebook = without_outputs(executed)
    outputs = {cell.id: _coalesced(cell.outputs) for cell in executed.cells if "outputs" in cell}
    problems = [
        Problem(name, cell.id, message)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for message in _unfit(cell, outputs[cell.id], private)
    ]
    if problems:
        raise Refused(problems)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    masks = Masks(text for cell in cells for output in outputs[cell.id] for text in texts(output))
    for count, cell in enumerate(cells, start=1):
        cell.execution_count = count
        cell.outputs = [_masked(output, count, masks) for output in outputs[cell.id]]
    return notebook


def texts(output: Any) -> list[str]:
    """Return every text that an output shows."""
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [*output.traceback, output.evalue]
    return [text for text in output.data.values() if isinstance(text, str)]


def private_folders(root: Path) -> list[Path]:
    """Return the folders of this machine that readers have nothing to do with."""
    return [root, Path.home(), Path(tempfile.gettempdir())]


def _coalesced(outputs: list[Any]) -> list[Any]:
    """Join neighbouring pieces of a stream: where they break is chance."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and last.output_type == output.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            joined.append(node(output))
    return joined


def _masked(output: Any, count: int, masks: Masks) -> Any:
    kind = output.output_type
    if kind == "stream":
        masked = {"output_type": kind, "name": output.name, "text": masks.apply(output.text)}
    else:
        data = {mimetype: masks.apply(text) for mimetype, text in output.data.items()}
        masked = {"output_type": kind, "data": data, "metadata": {}}
        if kind == "execute_result":
            masked["execution_count"] = count
    return node(masked)


def _unfit(cell: Any, outputs: list[Any], private: Sequence[Path]) -> Iterator[str]:
    """Yield why the outputs of a cell can't be shown to readers."""
    if outputs and "check" in tags(cell):
        yield "a `check` cell must put nothing out"
    shown = [text for output in outputs for text in texts(output)]
    lines, characters = sum(text.count("\n") for text in shown), sum(map(len, shown))
    if lines > OUTPUT_LINES or characters > OUTPUT_CHARACTERS:
        most = f"{OUTPUT_LINES} lines and {OUTPUT_CHARACTERS} characters"
        yield f"it puts out {lines} lines with {characters} characters; show what matters of it, at most {most}"
        return
    for output in outputs:
        if output.output_type == "error":
            yield f"it raised {output.ename}; catch what is expected, and show it"
        elif output.output_type == "stream":
            if output.name == "stderr":
                yield f"it wrote to stderr: {output.text.strip()}"
        else:
            for mimetype in output.data:
                if not mimetype.startswith("text/"):
                    yield f"an output of type {mimetype} can't be checked; show text"
            shown_there = _README & output.data.keys()
            if not shown_there or (
                shown_there == {"text/plain"} and _SAYS_NOTHING.fullmatch(output.data["text/plain"])
            ):
                yield f"an output of {', '.join(output.data)} has no text for README; give it a `__repr__` as well"
        if PICTURE in tags(cell) and "text/markdown" not in output.get("data", {}):
            yield "a picture has no Markdown, which is what README shows of it; give it a `_repr_markdown_`"
        for text in texts(output):
            if "\x1b" in text:
                yield "an ANSI escape, which a page shows as rubbish; let the program print without colours"
            for what in dict.fromkeys(refused(text)):
                yield f"{what} in an output"
            for folder in private:
                if _tells(text, folder):
                    yield f"a path of this machine in an output, below {folder}"


def _tells(text: str, folder: Path) -> bool:
    """Whether the text holds the path of the folder or of something in it."""
    spellings = {str(folder), str(folder.resolve())} - {"/"}
    return any(re.search(rf"(?<![\w.]){re.escape(path)}(?![\w.-])", text) for path in spellings)
