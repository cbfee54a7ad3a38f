"""An executed notebook becomes the same bytes whoever ran it, where and when."""

from pathlib import Path
from typing import Any

import pytest

from tests.docs.trees import code, markdown, notebook, result, stream
from tools.docs.normalise import normalise
from tools.docs.notebooks import Refused, node, to_text

HMAC = "1f" * 16 + "2e" * 16


def picture(data: str) -> Any:
    return {**result("a picture"), "data": {"text/plain": "a picture", "image/png": data}}


def refusal(*cells: dict[str, Any]) -> list[str]:
    with pytest.raises(Refused) as caught:
        normalise("01-setup", notebook(*cells), private=[Path("/home/ada")])
    return [str(problem) for problem in caught.value.problems]


def test_only_what_the_author_wrote_and_the_cells_put_out_is_left() -> None:
    """Papermill's, Jupyter's and this Python's metadata go, and so does the injected cell; ids and tags stay."""
    raw = notebook(
        code("injected", "server_url = 'http://127.0.0.1:1'", "injected-parameters"),
        code("answer", "1 + 1", "keep", outputs=[result("2")]),
    )
    raw.metadata = node(
        {
            "papermill": {"duration": 1},
            "kernelspec": {"name": "mine", "display_name": "Mine"},
            "language_info": {"name": "python", "version": "3.99"},
        }
    )
    raw.cells[2].metadata |= {"papermill": {}, "execution": {"iopub.status.busy": "now"}, "collapsed": False}
    done = normalise("01-setup", raw, private=[])
    assert done.metadata == {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    assert [cell.id for cell in done.cells] == ["parameters", "answer"]
    assert done.cells[1].metadata == {"tags": ["keep"]}


def test_cells_are_counted_as_if_the_notebook_had_run_alone() -> None:
    """From 1 over all cells with code, whatever the kernel counted."""
    raw = notebook(markdown("text", "a"), code("empty", ""), code("answer", "2", outputs=[result("2")]))
    done = normalise("01-setup", raw, private=[])
    assert [cell.get("execution_count") for cell in done.cells] == [1, None, None, 2]
    assert done.cells[3].outputs[0].execution_count == 2


def test_pieces_of_a_stream_are_joined() -> None:
    """Where the kernel cut what was printed is chance."""
    raw = notebook(code("say", "print()", outputs=[stream("a\n"), stream("b\n"), result("c"), stream("d\n")]))
    outputs = normalise("01-setup", raw, private=[]).cells[1].outputs
    assert [output.get("text") for output in outputs] == ["a\nb\n", None, "d\n"]


def test_a_mask_is_the_same_in_all_cells() -> None:
    """Identity holds over the whole notebook, streams and results alike."""
    raw = notebook(
        code("one", "1", outputs=[stream(f"hmac='{HMAC}'\n")]),
        code("two", "2", outputs=[result(f"{{'hmac': '{HMAC}'}}"), result(HMAC[::-1])]),
    )
    text = to_text(normalise("01-setup", raw, private=[]))
    assert text.count("<hmac 1>") == 2
    assert "<digest 1>" in text


def test_normal_form_is_a_fixed_point() -> None:
    """What is normal already stays as it is, to the byte."""
    raw = notebook(markdown("title", "# A"), code("one", "1", outputs=[stream("x\n"), result(HMAC)]))
    once = normalise("01-setup", raw, private=[])
    assert to_text(normalise("01-setup", once, private=[])) == to_text(once)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (stream("careful!\n", "stderr"), "it wrote to stderr: careful!"),
        (result(f"AuthToken(token='{HMAC}')"), "a secret in an output"),
        (result("<object at 0x7f81a2b3c4d0>"), "a memory address in an output"),
        (result("/home/ada/wallet.db"), "a path of this machine in an output, below /home/ada"),
        (picture("aGk="), "an output of type image/png can't be checked; show text"),
        (stream("\x1b[31mred"), "an ANSI escape, which a page shows as rubbish; let the program print without colours"),
        (
            result("<b>1</b>", "text/html"),
            "an output of text/html has no text for README; give it a `__repr__` as well",
        ),
        (
            {
                "output_type": "display_data",
                "data": {"text/plain": "<IPython.core.display.HTML object>", "text/html": "<b>1</b>"},
                "metadata": {},
            },
            "an output of text/plain, text/html has no text for README; give it a `__repr__` as well",
        ),
        (
            stream("1\n" * 100_000),
            "it puts out 100000 lines with 200000 characters; show what matters of it, at most 200 lines and 20000 "
            "characters",
        ),
        (
            {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []},
            "it raised ValueError; catch what is expected, and show it",
        ),
    ],
)
def test_what_readers_must_not_see_is_refused(output: dict[str, Any], reason: str) -> None:
    """The build names notebook, cell and reason."""
    assert refusal(code("leak", "1", outputs=[output])) == [f"notebooks/01-setup.ipynb, cell `leak`: {reason}"]


def test_a_folder_of_a_similar_name_is_no_private_one() -> None:
    """`/home/adam` is not below `/home/ada`."""
    raw = notebook(code("path", "1", outputs=[result("/home/adam /srv/home/ada")]))
    normalise("01-setup", raw, private=[Path("/home/ada")])


def test_a_check_is_silent() -> None:
    """A hidden cell asserts; it must not put anything out."""
    assert refusal(code("proof", "assert 1", "check", outputs=[stream("ok\n")])) == [
        "notebooks/01-setup.ipynb, cell `proof`: a `check` cell must put nothing out"
    ]


def test_a_picture_without_markdown_is_refused() -> None:
    """README shows the Markdown of a picture, so there has to be some; a `print` is none."""
    for output in (result("drawn"), stream("drawn\n")):
        assert refusal(code("draw", "1", "picture", outputs=[output])) == [
            "notebooks/01-setup.ipynb, cell `draw`: a picture has no Markdown, which is what README shows of it; "
            "give it a `_repr_markdown_`"
        ]


def test_what_is_folded_is_so_in_every_viewer() -> None:
    """JupyterLab goes by its own metadata, Jupyter Book and MyST-NB by tags; a picture hides its code alone."""
    raw = notebook(
        code("proof", "# It is so.\nassert 1", "check"),
        code("plumbing", "1", "hidden"),
        code("draw", "1", "picture", outputs=[result("drawn", "text/markdown")]),
        markdown("words", "a", "picture"),
        code("open", "1", "loud"),
    )
    cells = normalise("01-setup", raw, private=[]).cells[1:]
    assert [cell.metadata.tags for cell in cells] == [
        ["check", "hide-cell"],
        ["hidden", "hide-cell"],
        ["picture", "hide-input"],
        ["picture"],
        ["loud"],
    ]
    assert ["jupyter" in cell.metadata for cell in cells] == [True, True, True, False, False]
