"""Third-party programs that must accept what we make: skipped where they are missing, unless they are required."""

import os
import shutil

import pytest

REQUIRED = "PREGEN_JUDGES_REQUIRED"


def judge(name: str) -> str:
    """Return the path of a program; skip the test where it is missing, or fail it where judges are required."""
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        missing = f"the judge {name} is missing: make judges"
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(missing)
    return program
