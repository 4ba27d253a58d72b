"""Third-party programs that must accept what we make: skipped where they are missing, unless they are required."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRED = "PREGEN_JUDGES_REQUIRED"


def judge(name: str) -> str:
    """Return the path of a program; skip the test where it is missing, or fail it where judges are required."""
    # Those that came from PyPI first: they are of the version that the tests were made for.
    places = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin")
    program = shutil.which(name, path=os.pathsep.join(places))
    if program is None:
        missing(name)
    return program


def missing(name: str) -> NoReturn:
    """Skip the test for want of a judge, or fail it where judges are required."""
    text = f"the judge {name} is missing: make judges"
    if os.environ.get(REQUIRED):
        pytest.fail(text)
    pytest.skip(text)
