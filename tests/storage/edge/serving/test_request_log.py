import json
from collections import Counter

from storage.edge.logs.addresses import WHOLE_ADDRESSES, ClientNames
from storage.edge.record import LoggedRequest, Outcome
from storage.edge.serving.request_log import RequestLog
from tests.storage.edge.answers import answer_to, cert_id

GOOD = LoggedRequest(
    method="GET", outcome=Outcome.ANSWERED, http=200, cert_id=cert_id(), answer=answer_to(cert_id()), generation=1
)
REVOKED = GOOD._replace(answer=answer_to(cert_id())._replace(status="revoked"))
ABSENT = GOOD._replace(outcome=Outcome.NOT_STORED, answer=None)


class Kept:
    """A log that is kept in memory."""

    def __init__(self, sample: int = 1) -> None:
        self.lines: list[str] = []
        self.lost = 0
        self.log = RequestLog(ClientNames(WHOLE_ADDRESSES), sample=sample, put=self._put, lost=lambda: self.lost)

    def _put(self, line: bytes) -> None:
        self.lines.append(line.decode())

    def note(self, record: LoggedRequest) -> None:
        self.log.arrive()
        self.log.note(record, "192.0.2.1", 1_795_478_400.0, 60)

    @property
    def documents(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines]


def test_good_answers_alone_are_sampled_and_their_weights_are_those_of_all() -> None:
    kept = Kept(sample=10)
    for record in (GOOD, REVOKED, ABSENT):
        for _ in range(200):
            kept.note(record)
    kept.log.tell()

    *lines, counters = kept.documents
    said = Counter(line.get("status", line["outcome"]) for line in lines)
    assert said == {"good": 20, "revoked": 200, "not-stored": 200}
    assert {line.get("weight", 1) for line in lines if line.get("status") == "good"} == {10}
    assert {line.get("weight", 1) for line in lines if line.get("status") != "good"} == {1}
    assert counters["counters"] == {"requests": 600, "lines": 420, "lost": 0, "sampled_out": 180, "under_way": 0}
    assert counters["sample"] == 10


def test_counters_tell_what_is_lost_and_what_is_under_way() -> None:
    kept = Kept()
    kept.log.tell()
    kept.note(GOOD)
    kept.log.arrive()
    kept.lost = 1
    kept.log.tell(is_end=True)

    first, line, last = kept.documents
    assert first["counters"] == {"requests": 0, "lines": 0, "lost": 0, "sampled_out": 0, "under_way": 0}
    assert last["counters"] == {"requests": 2, "lines": 1, "lost": 1, "sampled_out": 0, "under_way": 1}
    assert first["worker"] == line["worker"] == last["worker"]
    assert len(str(line["worker"])) == 8
    assert (first.get("ended"), last["ended"]) == (None, True)
