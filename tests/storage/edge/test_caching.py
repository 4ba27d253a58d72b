import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.edge.caching import caching_headers, http_date, is_not_modified, last_servable, max_age_s
from storage.reader import Answer
from tests.storage.edge.answers import NEXT_UPDATE, REFRESH_BY, THIS_UPDATE, answer_to, cert_id

ANSWER = answer_to(cert_id())
HOURLY = ANSWER._replace(refresh_by=THIS_UPDATE + 3_600)
LATE = ANSWER._replace(refresh_by=NEXT_UPDATE)
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
    answer = ANSWER._replace(refresh_by=refresh_by)

    assert 0 <= max_age_s(answer, now) <= min(86_400, last_servable(answer) - now)
    assert max_age_s(answer, now) <= max(refresh_by - now, 300)


def test_the_headers_of_an_answer_say_its_end_as_an_instant_and_when_it_was_made() -> None:
    answer = HOURLY._replace(produced_at=THIS_UPDATE + 30)
    assert caching_headers(answer, THIS_UPDATE + 60) == (
        ("Cache-Control", "public, no-transform, must-revalidate"),
        ("Expires", "Tue, 24 Nov 2026 01:00:00 GMT"),
        ("Last-Modified", "Tue, 24 Nov 2026 00:00:30 GMT"),
        ("Date", "Tue, 24 Nov 2026 00:01:00 GMT"),
    )


@given(now=st.integers(THIS_UPDATE, NEXT_UPDATE - 60), cap_s=st.integers(0, 86_400))
def test_an_operator_may_shorten_how_long_caches_keep_an_answer(now: int, cap_s: int) -> None:
    assert max_age_s(ANSWER, now, cap_s) == min(max_age_s(ANSWER, now), cap_s)


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
        ({"if-modified-since": MODIFIED}, False),
        ({"if-modified-since": "Fri, 31 Dec 2099 23:59:59 GMT"}, False),
        ({"if-none-match": '"other"', "if-modified-since": MODIFIED}, False),
        ({"if-none-match": '"tag"', "if-modified-since": "Mon, 23 Nov 2026 23:59:59 GMT"}, True),
    ],
)
def test_only_the_tag_tells_whether_a_client_has_the_answer(headers: dict[str, str], unmodified: bool) -> None:
    assert is_not_modified(headers, '"tag"') == unmodified


@pytest.mark.usefixtures("leap_seconds")
def test_dates_are_those_of_posix_also_where_the_c_library_counts_leap_seconds() -> None:
    assert http_date(1_795_478_400) == "Tue, 24 Nov 2026 00:00:00 GMT"
