"""What the suite found, as a table of rules and capabilities for people, and as JUnit's XML for programs."""

from collections.abc import Sequence
from xml.etree import ElementTree

from walletsync.conformance.suite import Outcome, Result


def as_table(results: Sequence[Result]) -> str:
    """Return one line for each rule, and one for each capability: `yes`, `no` or the rules that are broken."""
    lines = [_line(result) for result in results]
    lines += ["", "capability         there"]
    for name in dict.fromkeys(result.rule.capability for result in results):
        of_it = [result for result in results if result.rule.capability == name]
        lines.append(f"{name:<18} {_there(of_it)}")
    return "\n".join(lines)


def _line(result: Result) -> str:
    part = "required" if result.rule.required else "optional"
    why = f"\n      {result.why}" if result.why else ""
    return f"{result.rule.id:<5} {part}  {result.outcome:<11}  {result.rule.sentence}{why}"


def _there(results: Sequence[Result]) -> str:
    broken = [result.rule.id for result in results if result.outcome == Outcome.BROKEN]
    if broken:
        return f"broken: {', '.join(broken)}"
    return "no" if results[0].outcome == Outcome.NOT_OFFERED else "yes"


def as_junit(results: Sequence[Result]) -> bytes:
    """Return an XML document of JUnit's form: a test case for each rule, skipped where the server does not offer it."""
    broken = [result for result in results if result.outcome == Outcome.BROKEN]
    skipped = [result for result in results if result.outcome == Outcome.NOT_OFFERED]
    counts = {"tests": str(len(results)), "failures": str(len(broken)), "skipped": str(len(skipped)), "errors": "0"}
    suite = ElementTree.Element("testsuite", {"name": "walletsync conformance", **counts})
    for result in results:
        name = f"{result.rule.id} {result.rule.sentence}"
        attributes = {"classname": result.rule.capability, "name": name, "time": f"{result.seconds:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        if result.outcome == Outcome.BROKEN:
            ElementTree.SubElement(case, "failure", {"message": result.why})
        elif result.outcome == Outcome.NOT_OFFERED:
            ElementTree.SubElement(case, "skipped")
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document
