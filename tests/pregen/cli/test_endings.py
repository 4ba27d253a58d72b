"""Answers that are not valid for longer than their certificates, in whole runs."""

from datetime import timedelta

import pyarrow as pa
import pytest

from tests.pki import DAY, make_issuer
from tests.pregen.cli.ca import Ca, Program, instants, octets

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
LEFT = (2 * HOUR, 15 * HOUR, 30 * HOUR, 3 * DAY, 4 * DAY + HOUR, 90 * DAY)
SERIALS = range(1, len(LEFT) + 1)


def text(instant: object) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def ending(ca: Ca) -> Ca:
    """A CA with certificates that end sooner and later, two of them revoked, and one that does not say when."""
    count = len(LEFT) + 1
    ca.configure(validity={"end_with_certificate": True})
    ca.export(
        serial=octets(*range(1, count + 1)),
        status=pa.array([1, 1, *[0] * (count - 2)], pa.uint8()),
        revoked_at=instants(ca.now - HOUR, ca.now - HOUR, *[None] * (count - 2)),
        reason=pa.array([1, None, *[None] * (count - 2)], pa.int8()),
        not_after=instants(*(ca.now + left for left in LEFT), None),
    )
    return ca


def window(ca: Ca, pregen: Program, serial: int) -> tuple[str, str, str]:
    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
    assert found.code == 0, found.err
    return tuple(str(found.document[name]) for name in ("this_update", "next_update", "refresh_by"))  # type: ignore[return-value]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_answer_is_valid_for_longer_than_its_certificate_or_shorter_than_its_profile_wants(
    ending: Ca, pregen: Program, workers: int
) -> None:
    ended = pregen("run", ending.config, "--json", "--workers", workers)

    assert ended.code == 0, ended.err
    usual = ended.document["this_update"], ended.document["next_update"], ended.document["refresh_by"]
    assert usual == (text(ending.now), text(ending.now + 4 * DAY - SECOND), text(ending.now + 2 * DAY))
    findings = ended.document["findings"]
    assert isinstance(findings, list)
    assert [(one["code"], one["count"]) for one in findings] == [("window.undated", 1)]
    for serial, left in zip(SERIALS, LEFT, strict=True):
        this_update, next_update, refresh_by = window(ending, pregen, serial)
        if left >= 4 * DAY:
            assert (this_update, next_update, refresh_by) == usual
            continue
        assert text(ending.now + left * 15 / 16 - SECOND) <= next_update <= text(ending.now + left)
        assert refresh_by == usual[2], "the run that is due has nothing to renew where the certificate has ended"
        if left < 16 * HOUR:
            assert this_update < text(ending.now + left - 15 * HOUR)
        else:
            assert this_update == text(ending.now)
    assert window(ending, pregen, len(LEFT) + 1) == usual
    verified = pregen("verify", ending.store, "--config", ending.config, "--json")
    assert verified.code == 0, verified.err
    assert verified.document.get("findings", []) == []


def test_it_is_a_matter_of_each_issuer(ending: Ca, pregen: Program) -> None:
    make_issuer("Example Root R2", not_before=ending.now - 365 * DAY, not_after=ending.now + 3_650 * DAY).write(
        ending.folder, "other"
    )
    other = {"name": "r2", "certificate": "other.pem", "key": "other.key"}
    ending.configure({**other, "validity": {"end_with_certificate": True}})
    ends = ending.now + 20 * HOUR
    ending.export(
        serial=octets(1, 1),
        issuer=pa.array(["r1", "r2"]),
        status=pa.array([0, 0], pa.uint8()),
        revoked_at=instants(None, None),
        reason=None,
        not_after=instants(ends, ends),
    )

    assert pregen("run", ending.config).code == 0

    assert window(ending, pregen, 1)[1] == text(ending.now + 4 * DAY - SECOND)
    found = pregen("lookup", ending.store, "--issuer", ending.folder / "other.pem", "--serial", "1", "--json")
    assert str(found.document["next_update"]) <= text(ends)


def test_a_second_run_renews_what_is_left_and_a_store_without_the_option_is_as_ever(
    ending: Ca, pregen: Program
) -> None:
    assert pregen("run", ending.config).code == 0
    assert pregen("run", ending.config).code == 0
    ending.configure()

    assert pregen("run", ending.config).code == 0

    for serial in SERIALS:
        assert window(ending, pregen, serial)[1] == text(ending.now + 4 * DAY - SECOND)
