"""libcrypto_mb: where it lies, how it loads, and its functions with their types."""

import ctypes
import functools
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Function: TypeAlias = Callable[..., int]

# What libcrypto_mb needs of Intel's compiler, in the order of their own needs. Loaded first and by path, they make
# LD_LIBRARY_PATH unnecessary.
RUNTIME = ("libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so")
INSTALL = 'pip install "ocsp-pregen[multibuffer]"'


@functools.cache
def load_library() -> ctypes.CDLL | str:
    """Return the library, or why it cannot be had."""
    try:
        for name in RUNTIME:
            ctypes.CDLL(_library_path("intel-cmplr-lib-rt", name), ctypes.RTLD_GLOBAL)
        return ctypes.CDLL(_library_path("ipp-crypto", "libcrypto_mb.so"))
    except importlib.metadata.PackageNotFoundError as e:
        return f"the package {e.name} is not installed: {INSTALL}"
    except OSError as e:
        return f"the library does not load ({e}): reinstall it with {INSTALL}"


def status_function(library: ctypes.CDLL, name: str, count: int) -> Function:
    """Return a function of `count` arguments, pointers or NULL, that returns the status of its eight lanes."""
    return typed(library, name, [ctypes.c_void_p] * count, ctypes.c_uint32)


def typed(library: ctypes.CDLL, name: str, arguments: list[type], result: type) -> Function:
    """Return a function with its types: without them, ctypes would cut addresses to 32 bits."""
    function = library[name]
    function.argtypes, function.restype = arguments, result
    return function


@functools.cache  # asking takes 80 us, and each of a thousand keys asks
def has_lanes(library: ctypes.CDLL, algorithm_id: int) -> bool:
    """Tell whether the library has an algorithm (MBX_ALGO of crypto_mb/cpu_features.h) on this CPU."""
    return bool(typed(library, "mbx_get_algo_info", [ctypes.c_int], ctypes.c_uint64)(algorithm_id))


def _library_path(distribution: str, name: str) -> str:
    files = importlib.metadata.files(distribution) or []
    found = sorted(str(file.locate()) for file in files if file.name == name or file.name.startswith(f"{name}."))
    if not found:
        raise OSError(f"{distribution} holds no {name}")
    return str(Path(found[-1]))
