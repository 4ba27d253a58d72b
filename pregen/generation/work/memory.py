"""Memory of bulk work: arrays of megabytes come and go with each batch and each shard; keys come into no core dump."""

import contextlib
import ctypes
import resource

# glibc's mallopt (malloc.h). By default each large array is mapped and unmapped by itself, and every page of it is
# faulted in anew: three per cent of a run's CPU time, measured.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_PR_SET_DUMPABLE = 4  # prctl(2)
_KEPT_BYTES = 64 << 20
_STEP_BYTES = 4 << 20


def forbid_core_dumps() -> None:
    """Let this process leave no image of its memory when it crashes: keys are in it.

    The limit also holds for processes that it starts, but not where the kernel pipes images to a program (core(5)):
    there it takes the process's own word, which each worker gives for itself.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    with contextlib.suppress(AttributeError, OSError):  # another system than Linux
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def keep_freed_memory() -> None:
    """Have the C library keep what this process frees, up to some 64 MiB, for the next array; elsewhere do nothing."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library than glibc: its own way is fine
        return
    for parameter, value in (
        (_M_MMAP_THRESHOLD, _KEPT_BYTES),
        (_M_TRIM_THRESHOLD, _KEPT_BYTES),
        (_M_TOP_PAD, _STEP_BYTES),
    ):
        mallopt(parameter, value)
