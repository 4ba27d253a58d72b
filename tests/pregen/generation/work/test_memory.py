"""Whether the C library does what it is asked for shows in the pages that the kernel has to find again.

What a crash leaves shows in a folder.
"""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import resource, sys
import numpy as np
from pregen.generation.work.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def work():
    np.empty(40 << 20, np.uint8).fill(1)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(choice: str) -> int:
    """Return the page faults of twenty arrays of 40 MiB, one after the other."""
    program = [sys.executable, "-c", FAULTS, choice]
    # One size of page: with huge ones there is little to save, and the kernel decides where they are.
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
    return int(subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt's ways")
def test_an_array_takes_the_memory_of_the_one_before() -> None:
    assert page_faults("keep") < page_faults("let go") / 10


CRASH = """
import os, resource, signal, sys
from pathlib import Path
from pregen.config import load_config
from pregen.generation import RunOptions
from pregen.generation.preparation import prepare
from tests.pregen.cli.ca import Ca
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
prepare(load_config(Ca(Path(sys.argv[1])).config), RunOptions())
print(resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
os.kill(os.getpid(), signal.SIGABRT)
"""


def test_a_process_that_has_opened_keys_leaves_no_image_of_its_memory(tmp_path: Path) -> None:
    program = [sys.executable, "-c", CRASH, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    ended = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == -signal.SIGABRT, ended.stderr
    assert ended.stdout == "0\n"
    assert not list(tmp_path.glob("core*"))
