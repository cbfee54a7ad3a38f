"""What the forge and the hooks run is what a person runs: targets of the Makefile."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {file.name: msgspec.yaml.decode(file.read_bytes()) for file in sorted(FOLDER.iterdir())}
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"].values()]
PYTHON = "Programming Language :: Python :: "


def steps(key: str) -> list[tuple[str, Any]]:
    """Return what all steps of all jobs have under `key`, such as `run`, each with the name of its workflow."""
    return [(name, step[key]) for name, job in JOBS for step in job.get("steps", []) if key in step]


def hooks() -> Iterator[dict[str, Any]]:
    for repository in msgspec.yaml.decode((ROOT / ".pre-commit-config.yaml").read_bytes())["repos"]:
        assert repository["repo"] == "local"
        yield from repository["hooks"]


def target_of(command: str) -> str:
    """Return the target that a command calls, if it does nothing else."""
    match = re.fullmatch(r"make ([a-z-]+)( [A-Z]+=[\w-]+)*", command)
    assert match, f"`{command}` is no call of a target"
    assert match[1] in TARGETS, f"the Makefile has no target {match[1]}"
    return match[1]


def test_every_step_calls_a_target_of_the_makefile() -> None:
    """A workflow knows no command of its own, in no step of no job."""
    assert {target_of(command) for _, command in steps("run")} == {
        "dist", "docs-check", "lint", "lock", "security", "site", "test"
    }  # fmt: skip
    assert all({"run", "uses"} & set(step) for _, job in JOBS for step in job.get("steps", [job]))


def test_every_hook_calls_a_target_of_the_makefile() -> None:
    """With what is installed by it, and not with files that it does not ask for."""
    assert {target_of(hook["entry"]): hook["stages"] for hook in hooks()} == {
        "lint": ["pre-commit"],
        "docs-check": ["pre-push"],
    }
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in hooks())


@pytest.mark.parametrize(
    "command", ["pip install x", "make lint && true", "make -f other lint", "make nothing", "make a\nb"]
)
def test_another_command_is_noticed(command: str) -> None:
    """Whatever is no target, or more than one call."""
    with pytest.raises(AssertionError):
        target_of(command)


def test_ci_is_what_everybody_runs() -> None:
    """`.ci/run` and the workflow call the same targets, with nothing else in the environment."""
    at_home = re.findall(r"^make [a-z-]+", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert sorted(map(target_of, at_home)) == sorted(target_of(run) for name, run in steps("run") if name == "ci.yml")
    assert "export" not in (ROOT / ".ci" / "run").read_text()
    assert steps("env") == []


def test_exported_settings_do_not_reach_the_tests() -> None:
    """A self-hoster's own, or a variable of CI that begins as one: each server of the tests would refuse to start."""
    environment = {**os.environ, "WALLETSYNC_PORT": "1", "WALLETSYNC_SIMULATOR_SEEDS": "10"}
    test = "tests/server/test_doctor.py::test_doctor_changes_nothing"
    command = [sys.executable, "-m", "pytest", "-q", "-n0", test]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


def test_actions_have_a_version() -> None:
    """That of a major version, which its authors keep compatible, or the hash of a commit; never a branch of work.

    A workflow of our own comes from the same commit.
    """
    used = [action for _, action in steps("uses")]
    assert len(used) > 5
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@((release/)?v\d+|[0-9a-f]{40})", action), action
    ours = [job["uses"] for _, job in JOBS if "uses" in job]
    assert [(ROOT / path).is_file() for path in ours] == [True]


def test_the_pythons_of_the_metadata_are_those_that_ci_tests() -> None:
    """Both distributions name the same ones, from the oldest that they install on."""
    tested = WORKFLOWS["ci.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    for source in (ROOT, ROOT / "server"):
        project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
        named = [each.removeprefix(PYTHON) for each in project["classifiers"] if each.startswith(f"{PYTHON}3.")]
        assert named == tested
        assert project["requires-python"] == f">={tested[0]}"


def test_both_distributions_name_the_same_addresses() -> None:
    """They come from one repository."""
    client, server = (tomllib.loads((ROOT / each / "pyproject.toml").read_text())["project"] for each in ("", "server"))
    assert client["urls"] == server["urls"]


def test_only_the_job_that_publishes_may_publish() -> None:
    """Workflows may read. Two jobs may prove who they are, and run no program of ours; one may open pull requests."""
    assert all(workflow["permissions"] == {"contents": "read"} for workflow in WORKFLOWS.values())
    more = [(name, job) for name, job in JOBS if "permissions" in job]
    assert [(name, job["permissions"]) for name, job in more] == [
        ("dependencies.yml", {"contents": "write", "pull-requests": "write"}),
        ("release.yml", {"id-token": "write"}),
        ("site.yml", {"pages": "write", "id-token": "write"}),
    ]
    assert not any("run" in step for _, job in more[1:] for step in job["steps"])
