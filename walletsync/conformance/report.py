"""What the suite found, as a table of rules and capabilities for people, and as JUnit's XML for programs."""

from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree

from walletsync.conformance.suite import Outcome, Result


def as_table(results: Sequence[Result]) -> str:
    """Return one line for each rule, one for each capability, and how many rules came to which end."""
    lines = [line for result in results for line in _lines(result)]
    lines += ["", "capability         there"]
    for name in dict.fromkeys(result.rule.capability for result in results):
        of_it = [result for result in results if result.rule.capability == name]
        lines.append(f"{name:<18} {_there(of_it)}")
    counts = Counter(result.outcome for result in results)
    return "\n".join([*lines, "", ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)])


def _lines(result: Result) -> list[str]:
    part = "required" if result.rule.required else "optional"
    lines = [f"{result.rule.id:<5} {part}  {result.outcome:<11}  {result.rule.sentence}"]
    if result.why:
        lines.append(f"      {result.why}")
    if result.asked:
        lines += ["      What was asked:", *(f"        {each}" for each in result.asked)]
    return lines


def _there(results: Sequence[Result]) -> str:
    """Return `yes`, `no`, which rules are broken, or that none was tried; and which were not tried."""
    ids = {outcome: [each.rule.id for each in results if each.outcome == outcome] for outcome in Outcome}
    if ids[Outcome.NOT_OFFERED]:
        return "no"
    said = [f"broken: {', '.join(ids[Outcome.BROKEN])}"] if ids[Outcome.BROKEN] else []
    if ids[Outcome.KEPT] and not said:
        said.append("yes")
    if ids[Outcome.NOT_TRIED]:
        said.append(f"not tried: {', '.join(ids[Outcome.NOT_TRIED])}")
    return "; ".join(said)


def as_junit(results: Sequence[Result]) -> bytes:
    """Return an XML document of JUnit's form: a test case for each rule, skipped where it was not offered or tried."""
    counts = Counter(result.outcome for result in results)
    skipped = counts[Outcome.NOT_OFFERED] + counts[Outcome.NOT_TRIED]
    told = {"tests": len(results), "failures": counts[Outcome.BROKEN], "skipped": skipped, "errors": 0}
    attributes = {name: str(count) for name, count in told.items()}
    suite = ElementTree.Element("testsuite", {"name": "walletsync conformance", **attributes})
    for result in results:
        name = f"{result.rule.id} {result.rule.sentence}"
        attributes = {"classname": result.rule.capability, "name": name, "time": f"{result.seconds:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        if result.outcome == Outcome.BROKEN:
            ElementTree.SubElement(case, "failure", {"message": result.why}).text = "\n".join(result.asked)
        elif result.outcome != Outcome.KEPT:
            ElementTree.SubElement(case, "skipped", {"message": result.why or "The server does not offer this."})
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document
