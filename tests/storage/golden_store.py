"""The committed golden store, for tests: its objects, and what it must answer."""

import json
from dataclasses import dataclass
from pathlib import Path

from storage.certid import CertID
from storage.stores.memory import MemoryStore

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to be answered: the response's SHA-256 and nextUpdate, and the octets of some; None: no answer."""

    cert_id: CertID
    sha256: str | None
    next_update: int | None
    der: bytes | None
    label: str


def objects_of(folder: Path) -> dict[str, bytes]:
    """Return the objects of a store that is a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def store_of(objects: dict[str, bytes]) -> MemoryStore:
    """Return a store that holds these objects."""
    store = MemoryStore()
    for name, octets in objects.items():
        store.put(name, octets)
    return store


def golden_store() -> MemoryStore:
    """Return the golden store, in memory."""
    return store_of(objects_of(GOLDEN / "store"))


def expected_answers() -> list[Expected]:
    """Return what the golden store must answer."""
    found = []
    for one in json.loads((GOLDEN / "answers.json").read_bytes()):
        octets = (bytes.fromhex(one[field]) for field in ("issuer_name_hash", "issuer_key_hash", "serial"))
        file = one.get("file", "")
        der = (GOLDEN / "answers" / file).read_bytes() if file else None
        found.append(Expected(CertID(one["hash"], *octets), one["sha256"], one.get("next_update"), der, file))
    return found


def answer_to(label: str) -> Expected:
    """Return the expected answer of one label, such as ``good-01.sha1``."""
    return next(one for one in expected_answers() if one.label == f"{label}.der")
