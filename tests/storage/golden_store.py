"""The committed golden stores, for tests: their objects, and what they must answer."""

import json
from dataclasses import dataclass
from pathlib import Path

from storage.certid import HASH_OIDS, CertID
from storage.stores.memory import MemoryStore

GOLDEN = Path(__file__).parent / "golden"
COMBINED = GOLDEN / "combined"
VERSION_2 = GOLDEN / "version-2"
OVERLAYS = GOLDEN / "overlays"


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


def golden_store(folder: Path = GOLDEN) -> MemoryStore:
    """Return a golden store, in memory."""
    return store_of(objects_of(folder / "store"))


def expected_answers(folder: Path = GOLDEN) -> list[Expected]:
    """Return what a golden store must answer."""
    found = []
    document = json.loads((folder / "answers.json").read_bytes())
    for one in document["answers"]:
        name_hash, key_hash = map(bytes.fromhex, document["issuers"][one["issuer"]][one["hash"]])
        asked = CertID(HASH_OIDS[one["hash"]], name_hash, key_hash, bytes.fromhex(one["serial"]))
        file = one.get("file", "")
        der = (folder / "answers" / file).read_bytes() if file else None
        found.append(Expected(asked, one["sha256"], one.get("next_update"), der, file))
    return found


def accepted_cases() -> dict[str, list[tuple[CertID, str | None, str | None]]]:
    """Return what is asked in each folder of golden/accepted beside all else: CertID, SHA-256 of the answer, error."""
    issuers = json.loads((GOLDEN / "answers.json").read_bytes())["issuers"]
    found: dict[str, list[tuple[CertID, str | None, str | None]]] = {}
    for name, asked in json.loads((GOLDEN / "accepted" / "index.json").read_bytes()).items():
        found[name] = []
        for one in asked:
            name_hash, key_hash = map(bytes.fromhex, issuers[one["issuer"]][one["hash"]])
            cert_id = CertID(HASH_OIDS[one["hash"]], name_hash, key_hash, bytes.fromhex(one["serial"]))
            found[name].append((cert_id, one.get("sha256"), one.get("error")))
    return found


def answer_to(label: str) -> Expected:
    """Return the expected answer of one label, such as ``good-01.sha1``."""
    return next(one for one in expected_answers() if one.label == f"{label}.der")
