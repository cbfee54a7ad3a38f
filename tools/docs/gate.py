"""What `build` and `check` do with a run: whether it may be written, whether it is what is committed, and what to do.

A second run, which tells chance from change, needs a server on which nothing has happened; where the caller gave one,
there is no second, and nothing is called flaky.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Protocol

from tools.docs.build import Results, RunFailed, again, keep, produce, write
from tools.docs.check import Difference, Verdict, behind, compare, flaky, names_in
from tools.docs.links import broken
from tools.docs.notebooks import Refused
from tools.docs.unchanged import after, remember, snapshot

Say = Callable[[str], None]


class Server(Protocol):
    """What a run talks to."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True)
class Servers:
    """The address of the server of the first run, and what starts one for a second."""

    url: str
    another: Callable[[], AbstractContextManager[Server]] | None


FAILED = (
    "A cell raised. Where the server answers otherwise, begin there. Where the cell is a check, what its first line "
    "says is not so: mend the code, or the sentence together with its check. Where it is another, the code no longer "
    "does what the cell asks for: a name may have changed. "
    "`make lab` opens the notebook to try it."
)


def build(root: Path, servers: Servers, say: Say) -> int:
    """Run, and write what came out; nothing if anything is wrong with it. Return the exit code."""
    before = snapshot(root)
    results = _produced(root, servers, say)
    if results is None or _told(_by_chance(root, servers, results, say), say) or not _links_lead(root, results, say):
        say("Nothing was written.")
        return 1
    silent = [each.place for each in compare(root, results) if each.verdict is Verdict.WRONG]
    files = results.files(root)
    changed = write(root, files)
    remember(root, after(before, files))
    say(f"written: {', '.join(changed)}" if changed else "everything was up to date")
    if silent:
        say("Outputs changed, and not by an edit of the notebooks; look at them before you commit:")
        say(_by_notebook(silent))
    return 0


def _by_notebook(places: list[str]) -> str:
    """Return a line for each notebook, with its cells."""
    split = [place.partition("::")[::2] for place in places]
    lines = (f"  {name}: {', '.join(cell for _, cell in cells)}" for name, cells in groupby(split, itemgetter(0)))
    return "\n".join(lines)


def check(root: Path, servers: Servers, say: Say) -> int:
    """Run, and compare what came out with what is committed. Return the exit code."""
    before = snapshot(root)
    results = _produced(root, servers, say)
    if results is None:
        return 1
    lead = _links_lead(root, results, say)
    found = compare(root, results)
    if not found and lead:
        remember(root, before)
        say("the documentation is up to date")
        return 0
    if found:
        keep(root, results.files(root))
        say(f"\nThis run is kept in {root / '.docs/failed'}.")
        chance = _by_chance(root, servers, results, say)
        notebooks = {each.place.partition("::")[0] for each in chance}
        _told([*chance, *(each for each in found if each.place.partition("::")[0] not in notebooks)], say)
    return 1


def _produced(root: Path, servers: Servers, say: Say) -> Results | None:
    """Run everything; None if that failed, which is told."""
    try:
        return produce(root, server_url=servers.url, report=say)
    except Refused as refused:
        say(f"\n{refused}\n")
    except RunFailed as failed:
        for run in failed.failed:
            say("\n" + "\n\n".join(filter(None, (str(run.failure), behind(root, run)))))
        if failed.problems:
            say(f"\n{Refused(failed.problems)}")
        names = [failure.notebook for failure in failed.failures if not failure.hung]
        passes = _passes(root, servers, names, say)
        for name in passes:
            say(f"FLAKY {name}: it passed when it ran again")
        if names:
            say(Verdict.FLAKY if passes else FAILED)
    if (kept := root / ".docs/failed").exists():
        say(f"The run is kept in {kept}.")
    return None


def _passes(root: Path, servers: Servers, names: list[str], say: Say) -> list[str]:
    """Run again what failed, and return what does not fail again."""
    if not names or servers.another is None:
        return []
    say(f"\nonce more, to see whether it fails again: {', '.join(names)}")
    second = _second(root, servers, names, say)
    if isinstance(second, RunFailed):
        failed = {failure.notebook for failure in second.failures}
        return [name for name in names if name not in failed]
    return names if isinstance(second, Results) else []


def _by_chance(root: Path, servers: Servers, results: Results, say: Say) -> list[Difference]:
    """Run the notebooks again that changed, and return where they did once more."""
    names = names_in(root, results)
    if not names or servers.another is None:
        return []
    say(f"once more, to see whether it is the same again: {', '.join(names)}")
    second = _second(root, servers, names, say)
    if not isinstance(second, Results):
        say(f"\n{second}\n")
        return [Difference(Verdict.FLAKY, ", ".join(names), "    the second run failed")]
    return flaky(results, second)


def _second(root: Path, servers: Servers, names: list[str], say: Say) -> Results | Refused | RunFailed | None:
    """Run some notebooks again, on another server; return what came of it, or why not. None if that cannot be."""
    if servers.another is None:
        return None
    with servers.another() as server:
        try:
            return again(root, names, server_url=server.url, report=say)
        except (Refused, RunFailed) as error:
            return error


def _links_lead(root: Path, results: Results, say: Say) -> bool:
    found = broken(root, results.files(root))
    if found:
        said = "\n".join(map(str, found))
        say(f"\n{said}\n\nMend each link where it stands; README.md's stand in the templates and the notebooks.")
    return not found


def _told(differences: list[Difference], say: Say) -> bool:
    """Tell every difference, then once what each kind of them means; and whether there are any."""
    for each in differences:
        say(f"\n{each}")
    for verdict in dict.fromkeys(each.verdict for each in differences):
        say(f"\n{verdict}")
    return bool(differences)
