"""Compiles the tests of a fresh clone once: each worker would else do it for itself, a quarter of a minute's work."""

import os
import subprocess
import sys
from pathlib import Path

FEW = 20
"""So many files the workers may compile: to collect tests only for that would take longer."""


def compile_tests(folder: Path) -> None:
    """Let pytest rewrite the asserts of the tests there and keep the result where it will look, on all cores."""
    new = [str(file) for file in folder.rglob("test_*.py") if not is_compiled(file)]
    if len(new) <= FEW or sys.dont_write_bytecode:
        return
    cores = os.cpu_count() or 1
    collect = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-n0", "-p", "no:cacheprovider"]
    # What cannot be collected is left to the workers to tell.
    processes = [subprocess.Popen([*collect, *new[core::cores]], stdout=subprocess.DEVNULL) for core in range(cores)]
    for process in processes:
        process.wait()


def is_compiled(file: Path) -> bool:
    """Say whether pytest has compiled this file as it is."""
    compiled = (file.parent / "__pycache__").glob(f"{file.stem}.*-pytest-*.pyc")
    return any(each.stat().st_mtime >= file.stat().st_mtime for each in compiled)
