from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.edge.caching import caching_headers, http_date, is_not_modified, last_servable, max_age_s
from storage.reader import Answer
from tests.storage.edge.answers import NEXT_UPDATE, REFRESH_BY, THIS_UPDATE, answer_to, cert_id

ANSWER = answer_to(cert_id())
HOURLY = replace(ANSWER, refresh_by=THIS_UPDATE + 3_600)
LATE = replace(ANSWER, refresh_by=NEXT_UPDATE)
MODIFIED = "Tue, 24 Nov 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("answer", "now", "age"),
    [
        (ANSWER, THIS_UPDATE, 86_400),
        (ANSWER, REFRESH_BY - 86_401, 86_400),
        (ANSWER, REFRESH_BY - 86_399, 86_399),
        (ANSWER, REFRESH_BY - 1, 1),
        (ANSWER, REFRESH_BY, 300),
        (ANSWER, REFRESH_BY + 1, 300),
        (ANSWER, NEXT_UPDATE - 360, 300),
        (ANSWER, NEXT_UPDATE - 359, 299),
        (ANSWER, NEXT_UPDATE - 61, 1),
        (ANSWER, NEXT_UPDATE - 60, 0),
        (HOURLY, THIS_UPDATE, 3_600),
        (LATE, NEXT_UPDATE - 1_000, 940),
    ],
)
def test_max_age_to_the_second(answer: Answer, now: int, age: int) -> None:
    assert max_age_s(answer, now) == age


@given(now=st.integers(THIS_UPDATE, NEXT_UPDATE - 60), refresh_by=st.integers(THIS_UPDATE, NEXT_UPDATE))
def test_no_cache_keeps_an_answer_longer_than_it_is_served_here(now: int, refresh_by: int) -> None:
    answer = replace(ANSWER, refresh_by=refresh_by)

    assert 0 <= max_age_s(answer, now) <= min(86_400, last_servable(answer) - now)
    assert max_age_s(answer, now) <= max(refresh_by - now, 300)


def test_the_headers_of_an_answer() -> None:
    assert caching_headers(HOURLY, '"tag"', THIS_UPDATE + 60) == (
        ("Cache-Control", "max-age=3540, public, no-transform, must-revalidate"),
        ("Expires", "Tue, 24 Nov 2026 01:00:00 GMT"),
        ("Last-Modified", MODIFIED),
        ("ETag", '"tag"'),
    )


@pytest.mark.parametrize("instant", [0, THIS_UPDATE, 1_772_582_400])
def test_dates_are_in_gmt_with_two_digits_and_english_names(instant: int) -> None:
    expected = {
        0: "Thu, 01 Jan 1970 00:00:00 GMT",
        THIS_UPDATE: MODIFIED,
        1_772_582_400: "Wed, 04 Mar 2026 00:00:00 GMT",
    }
    assert http_date(instant) == expected[instant]


@pytest.mark.parametrize(
    ("headers", "unmodified"),
    [
        ({}, False),
        ({"if-none-match": '"tag"'}, True),
        ({"if-none-match": 'W/"tag"'}, True),
        ({"if-none-match": '"other", "tag"'}, True),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": '"other"'}, False),
        ({"if-none-match": "tag"}, False),
        ({"if-none-match": ""}, False),
        ({"if-modified-since": MODIFIED}, True),
        ({"if-modified-since": "Tue, 24 Nov 2026 00:00:01 GMT"}, True),
        ({"if-modified-since": "Mon, 23 Nov 2026 23:59:59 GMT"}, False),
        ({"if-modified-since": "Tuesday, 24-Nov-26 00:00:00 GMT"}, True),
        ({"if-modified-since": "Tue Nov 24 00:00:00 2026"}, True),
        ({"if-modified-since": "yesterday"}, False),
        ({"if-modified-since": ""}, False),
        ({"if-none-match": '"other"', "if-modified-since": MODIFIED}, False),
        ({"if-none-match": '"tag"', "if-modified-since": "Mon, 23 Nov 2026 23:59:59 GMT"}, True),
    ],
)
def test_conditions(headers: dict[str, str], unmodified: bool) -> None:
    assert is_not_modified(headers, '"tag"', THIS_UPDATE) == unmodified


@given(value=st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]?\w*", fullmatch=True))
def test_no_condition_raises(value: str) -> None:
    assert is_not_modified({"if-modified-since": value}, '"tag"', 2**40) is False


@pytest.mark.usefixtures("leap_seconds")
def test_dates_are_those_of_posix_also_where_the_c_library_counts_leap_seconds() -> None:
    assert http_date(1_795_478_400) == "Tue, 24 Nov 2026 00:00:00 GMT"
