from dataclasses import dataclass, field

import pytest

from storage.edge.replies import KeptReplies, key_of
from storage.edge.respond import HttpRequest, Reply, respond
from storage.edge.source import Loaded
from tests.storage.edge.answers import (
    NEXT_UPDATE,
    REFRESH_BY,
    THIS_UPDATE,
    FakeSource,
    answer_to,
    cert_id,
    encode_request,
)

NOW = THIS_UPDATE + 60
ASKED = cert_id()


@dataclass
class Changing(FakeSource):
    loaded: Loaded | None = None
    epoch: object = field(default_factory=object)

    def refresh(self) -> bool:
        return False

    def store_clock_s(self) -> float | None:
        return None


def changing() -> Changing:
    return Changing({ASKED: answer_to(ASKED)})


def post(serial: int = 0x1234) -> HttpRequest:
    return HttpRequest(method="POST", raw_path=b"/", headers={}, body=encode_request(cert_id(serial)))


def asked(replies: KeptReplies, source: Changing, request: HttpRequest, now: int = NOW) -> tuple[Reply, bool]:
    """Answer a request as the server does; tell whether the reply was kept."""
    key = key_of(request)
    assert key is not None
    if (kept := replies.find(key, now)) is not None:
        return kept, True
    epoch = source.epoch
    reply = respond(source, request, now)
    replies.keep(key, request, reply, epoch)
    return reply, False


def test_what_is_asked_for_again_and_again_is_kept() -> None:
    source = changing()
    replies = KeptReplies(source, 10, 86_400)

    assert [asked(replies, source, post())[1] for _ in range(5)] == [False, False, True, True, True]


@pytest.mark.parametrize("now", [NOW, NOW + 1, REFRESH_BY - 1, REFRESH_BY, REFRESH_BY + 1, NEXT_UPDATE - 60])
def test_a_kept_reply_is_the_one_that_a_lookup_makes_in_that_second(now: int) -> None:
    source = changing()
    replies = KeptReplies(source, 10, 86_400)
    for _ in range(3):
        asked(replies, source, post())
    reply, is_kept = asked(replies, source, post(), now)
    made = respond(source, post(), now)

    assert is_kept
    assert reply[:3] == made[:3]
    assert reply.record._replace(said=None) == made.record
    assert reply.record.line(now, "192.0.2.1", 7, "0a1b2c3d") == made.record.line(now, "192.0.2.1", 7, "0a1b2c3d")


@pytest.mark.parametrize("now", [THIS_UPDATE - 1, NEXT_UPDATE - 59])
def test_a_kept_reply_leaves_only_while_a_lookup_would_give_it(now: int) -> None:
    source = changing()
    replies = KeptReplies(source, 10, 86_400)
    for _ in range(3):
        asked(replies, source, post())

    assert asked(replies, source, post(), now) == (respond(source, post(), now), False)


def test_nothing_is_kept_beyond_what_is_loaded() -> None:
    source = changing()
    replies = KeptReplies(source, 10, 86_400)
    for _ in range(4):
        asked(replies, source, post())
    source.answers, source.epoch = {}, object()

    assert [asked(replies, source, post())[0].record.outcome for _ in range(3)] == ["not-stored"] * 3


def test_a_reply_that_was_looked_up_before_a_change_is_not_kept_after_it() -> None:
    source = changing()
    replies = KeptReplies(source, 10, 86_400)
    key = key_of(post())
    assert key is not None
    for _ in range(2):
        asked(replies, source, post())
    before, reply = source.epoch, respond(source, post(), NOW)
    source.epoch = object()
    for _ in range(4):
        replies.keep(key, post(), reply, before)
        assert replies.find(key, NOW) is None


def test_no_more_replies_are_kept_than_may_be() -> None:
    serials = range(1, 9)
    source = Changing({cert_id(one): answer_to(cert_id(one)) for one in serials})
    replies = KeptReplies(source, 3, 86_400)
    for _ in range(3):
        for one in serials:
            asked(replies, source, post(one))
    kept = [one for one in serials if replies.find(key_of(post(one)) or b"", NOW)]

    assert kept == [6, 7, 8]


def test_with_room_for_none_nothing_is_kept() -> None:
    source = changing()
    replies = KeptReplies(source, 0, 86_400)

    assert not any(asked(replies, source, post())[1] for _ in range(5))


def test_errors_are_not_kept() -> None:
    source = changing()
    replies = KeptReplies(source, 10, 86_400)

    assert not any(asked(replies, source, post(99))[1] for _ in range(5))


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest(method="GET", raw_path=b"/M", headers={"if-none-match": "*"}),
        HttpRequest(method="HEAD", raw_path=b"/M", headers={}),
        HttpRequest(method="GET", raw_path=b"*", headers={}),
        HttpRequest(method="PUT", raw_path=b"/M", headers={}, body=b"0"),
        HttpRequest(method="POST", raw_path=b"/M", headers={}, body=b"/M"),
    ],
)
def test_what_is_more_than_a_question_has_no_key(request_: HttpRequest) -> None:
    assert key_of(request_) is None
