"""Replies that are kept for who asks the same again: many ask for few certificates.

What is kept never outlives what lookups would find now: with anything else that is loaded, all of it is forgotten at
once. It is kept by the octets of the request, and only where the reply is a stored answer; it leaves no earlier and no
later than a lookup would let it, with the dates of its own second.

What is asked for once is not kept: of a million certificates that are asked for alike, hardly one comes again before
others have pushed it out, and to keep it would cost more than it saves.
"""

from collections import OrderedDict
from typing import NamedTuple

from storage.edge.caching import caching_headers, last_servable
from storage.edge.record import LoggedRequest, Outcome
from storage.edge.respond import HttpRequest, Reply, answered_headers
from storage.edge.source import LiveSource
from storage.reader import Answer

_SEEN_FOR_ONE = 4  # so many requests are remembered for each reply that is kept


class _WithoutDate(NamedTuple):
    """A reply, without what depends on the second in which it leaves."""

    answer: Answer
    etag: tuple[str, str]
    record: LoggedRequest


class KeptReplies:
    """The replies that were asked for last.

    Args:
        source: where answers come from.
        most: how many replies are kept; 0: none.
        max_age_cap_s: for how long caches may keep an answer at most.
    """

    def __init__(self, source: LiveSource, most: int, max_age_cap_s: int) -> None:
        self._source = source
        self._most = most
        self._max_age_cap_s = max_age_cap_s
        self._kept: OrderedDict[bytes, _WithoutDate] = OrderedDict()
        self._epoch: object = None
        self._seen: set[int] = set()

    def find(self, key: bytes, now: int) -> Reply | None:
        """Return the reply to a request that is asked again; None: it has to be looked up."""
        if self._source.epoch is not self._epoch:
            self._kept.clear()
            self._epoch = self._source.epoch
            return None
        kept = self._kept.get(key)
        if kept is None:
            return None
        answer, etag, record = kept
        if not answer.this_update <= now <= last_servable(answer):
            return None
        self._kept.move_to_end(key)
        return Reply(
            200, answered_headers(answer, etag, caching_headers(answer, now, self._max_age_cap_s)), answer.der, record
        )

    def keep(self, key: bytes, request: HttpRequest, reply: Reply, epoch: object) -> None:
        """Keep a reply, if it may be kept.

        Args:
            key: by which the next one who asks the same will look for it.
            request: what was asked.
            reply: what was replied.
            epoch: of the source, from before the lookup.
        """
        record = reply.record
        is_whole = record.outcome is Outcome.ANSWERED and request.method != "HEAD"
        if not self._most or not is_whole or epoch is None or epoch is not self._epoch:
            return
        assert record.answer is not None
        if hash(key) not in self._seen:
            if len(self._seen) >= _SEEN_FOR_ONE * self._most:
                self._seen.clear()
            self._seen.add(hash(key))
            return
        (etag,) = (header for header in reply.headers if header[0] == "ETag")
        self._kept[key] = _WithoutDate(record.answer, etag, record._replace(said=record.words()))
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


def key_of(request: HttpRequest) -> bytes | None:
    """Return by which octets a reply is kept: a path begins with a slash, and a body of a request never does.

    None: the reply to it is not kept. One that names tags gets more than the answer.
    """
    if request.headers:
        return None
    if request.method == "GET":
        return request.raw_path if request.raw_path[:1] == b"/" else None
    return request.body if request.method == "POST" and request.body[:1] == b"0" else None
