"""What is a unit test is told by a rule."""

import sys
from types import ModuleType

import pytest

from storage.key import issuer_id
from tests.reach import reaches_out


class Item:
    """A collected test, as far as the rule looks at it."""

    def __init__(
        self, *imported: object, fixtures: tuple[str, ...] = (), name: str = "tests.storage.test_pack"
    ) -> None:
        self.module = ModuleType(name)
        vars(self.module).update({str(at): one for at, one in enumerate(imported)})
        self.fixturenames = fixtures


def test_what_calls_code_in_its_process_is_a_unit_test(request: pytest.FixtureRequest) -> None:
    assert not reaches_out(request.node)
    assert not reaches_out(Item(sys, pytest, issuer_id, fixtures=("tmp_path",)))


@pytest.mark.parametrize(
    "item",
    [
        Item(sys.modules["subprocess"]),
        Item(fixtures=("tmp_path", "s3_server")),
        Item(name="tests.faults.test_signals"),
        Item(type("S3Server", (), {"__module__": "tests.s3"})),
    ],
    ids=["a module that starts processes", "a fixture that starts a server", "its own room", "a class of such a room"],
)
def test_what_starts_processes_or_servers_is_none(item: Item) -> None:
    assert reaches_out(item)
