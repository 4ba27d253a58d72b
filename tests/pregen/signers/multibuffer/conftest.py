import ctypes

import pytest

from pregen.signers.multibuffer import MultibufferEngine, load_library


@pytest.fixture
def library() -> ctypes.CDLL:
    if reason := MultibufferEngine().unavailable():
        pytest.skip(f"engine multibuffer: {reason}")
    library = load_library()
    assert isinstance(library, ctypes.CDLL)
    return library
