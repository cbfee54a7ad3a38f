"""Mermaid's diagrams as SVG, on the site."""

import pytest

from tools.site.diagrams import svg


def test_a_diagram_says_all_that_its_source_says() -> None:
    """Names, messages in their order, and no way out of the image for what somebody called a device."""
    drawn = svg(
        "sequenceDiagram\n participant laptop\n participant server\n laptop->>server: a < b\n server-->>laptop: 200 OK"
    )
    assert drawn.index("laptop</text>") < drawn.index("a &lt; b</text>") < drawn.index("200 OK</text>")
    assert drawn.count("<polygon") == 2
    assert drawn.count('class="answer"') == 1


def test_a_graph_of_versions_is_drawn_from_above() -> None:
    """What builds on another stands below it, and beside what builds on the same."""
    drawn = svg(
        'flowchart TB\n v1["one"]\n v2["two<br/><i>theirs</i>"]\n d["#quot;mine#quot;"]\n v1 --> v2\n v1 -.-> d'
    )
    tops = {
        name: drawn.rpartition(f">{name}</text>")[0].rpartition(' y="')[2]
        for name in ("one", "two", "&quot;mine&quot;")
    }
    assert int(tops["one"].split('"')[0]) < int(tops["two"].split('"')[0])
    assert drawn.count("<rect") == 3
    assert drawn.count('class="role"') == 1


@pytest.mark.parametrize("source", ["gantt\n title x", "sequenceDiagram\n participant a\n loop every day"])
def test_what_is_not_drawn_is_refused(source: str) -> None:
    """With the line, or the kind, that is the matter: a reader never sees half a diagram."""
    with pytest.raises(ValueError, match=r"diagrams\.py.*(gantt|every day)"):
        svg(source)
