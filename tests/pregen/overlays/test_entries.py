"""Entries in columns against a plain model, certificates with equal keys among them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pregen.gates.comparison import RememberedStatus
from pregen.overlays import NO_ENTRIES, Entries, Origin
from pregen.overlays.entries import Gathered, concatenated, newest, paired, under, without
from storage.certid import MAX_SERIAL_BYTES
from storage.key import key64


class One(NamedTuple):
    """An entry; certificates of one key are told apart by serial and issuer."""

    key: int
    serial: bytes = b"\x01"
    issuer: int = 7
    status: int = RememberedStatus.GOOD
    not_after: int = 2**32 - 1

    @property
    def certificate(self) -> tuple[int, bytes, int]:
        return self.key, self.serial, self.issuer


def entries(ones: Sequence[One]) -> Entries:
    """Return the same in columns, in the same order."""
    count = len(ones)
    padded = b"".join(one.serial.ljust(MAX_SERIAL_BYTES, b"\0") for one in ones)
    return Entries(
        keys=np.array([one.key for one in ones], np.uint64),
        issuers=np.array([one.issuer for one in ones], np.uint64),
        serials=np.frombuffer(padded, np.uint8).reshape(count, MAX_SERIAL_BYTES),
        sizes=np.array([len(one.serial) for one in ones], np.uint8),
        status=np.array([one.status for one in ones], np.uint8),
        revoked_at=np.zeros(count, np.uint32),
        reason=np.full(count, -1, np.int8),
        not_after=np.array([one.not_after for one in ones], np.uint32),
        as_of=np.zeros(count, np.int64),
        origin=np.full(count, Origin.DELTA, np.uint8),
    )


def ones(of: Entries) -> list[One]:
    columns = (of.keys, of.issuers, of.status, of.not_after)
    return [
        One(key, of.serial(place), issuer, status, not_after)
        for place, (key, issuer, status, not_after) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        )
    ]


some = st.builds(
    One,
    key=st.sampled_from([0, 1, 1 << 32, 1 << 63, 2**64 - 1]),
    serial=st.sampled_from([b"\x01", b"\x01\x00", b"\x02"]),
    issuer=st.sampled_from([7, 2**64 - 1]),
    status=st.sampled_from([*RememberedStatus]),
    not_after=st.just(2**32 - 1),
)
lists = st.lists(st.lists(some, unique_by=lambda one: one.certificate), max_size=4)


@given(lists)
def test_of_several_lists_the_first_that_has_a_certificate_counts(parts: list[list[One]]) -> None:
    model: dict[tuple[int, bytes, int], One] = {}
    for part in parts:
        model = {one.certificate: one for one in part} | model

    assert ones(newest(map(entries, parts))) == [model[certificate] for certificate in sorted(model)]


@given(lists, st.integers(0, 30))
def test_lists_that_are_copied_into_the_same_columns_say_the_same(parts: list[list[One]], room: int) -> None:
    gathered = Gathered(room)
    for part in parts:
        gathered.add(entries(part))

    assert ones(gathered.newest()) == ones(newest(map(entries, parts)))


@given(lists)
def test_lists_are_joined_by_keys_and_serials_and_lose_nothing(parts: list[list[One]]) -> None:
    every = [one for part in parts for one in part]

    assert ones(concatenated(map(entries, parts))) == sorted(every, key=lambda one: one.certificate)


@given(*[st.lists(some, unique_by=lambda one: one.certificate)] * 2)
def test_entries_of_one_certificate_find_each_other(left: list[One], right: list[One]) -> None:
    one, other = concatenated([entries(left)]), concatenated([entries(right)])
    places, others = paired(one, other)
    found = [
        (ones(one)[at].certificate, ones(other)[beside].certificate) for at, beside in zip(places, others, strict=True)
    ]
    both = {one.certificate for one in left} & {one.certificate for one in right}

    assert sorted(found) == [(certificate, certificate) for certificate in sorted(both)]
    assert {one.certificate for one in ones(without(one, other))} == {one.certificate for one in left} - both


def test_the_same_can_be_said_of_another_issuer() -> None:
    other = under(entries([One(1, b"\x01"), One(2, b"\x01\x00", status=RememberedStatus.REVOKED)]), 9)

    assert {(one.key, one.serial, one.issuer, one.status) for one in ones(other)} == {
        (key64(b"\x01", 9), b"\x01", 9, RememberedStatus.GOOD),
        (key64(b"\x01\x00", 9), b"\x01\x00", 9, RememberedStatus.REVOKED),
    }
    assert other.keys.tolist() == sorted(other.keys.tolist())


def test_a_range_of_keys_is_that_of_their_upper_halves() -> None:
    every = entries([One(0), One(1 << 32), One((1 << 33) - 1), One(2**64 - 1)])

    assert every.between(1, 2).keys.tolist() == [1 << 32, (1 << 33) - 1]
    assert every.between(2, 1 << 32).keys.tolist() == [2**64 - 1]
    assert len(every.between(2, 3)) == len(NO_ENTRIES) == 0


def test_what_has_expired_is_told_as_rows_are_left_out() -> None:
    every = entries([One(1, not_after=4), One(2, not_after=5), One(3)])

    assert every.expired(5).tolist() == [True, False, False]
    assert every.expired(None).tolist() == every.expired(-1).tolist() == [False] * 3
    assert every.expired(2**40).tolist() == [True, True, False]
