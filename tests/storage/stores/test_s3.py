"""What only a store on S3 has: credentials, buckets, servers that fail, and what messages may not show."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from obstore.store import S3Store as Client

from storage.stores import ObjectInfo, Store, StoreAddress, StoreOptions, open_store
from storage.stores.s3 import S3Store
from tests.loopback import LoopbackHandler, LoopbackServer
from tests.s3 import S3Server

if TYPE_CHECKING:
    from obstore.store import S3Credential


class ScriptedServer(LoopbackServer):
    """Gives prepared answers, one after the other; then 200 without a body."""

    def __init__(self) -> None:
        super().__init__(ScriptedHandler)
        self.answers: list[tuple[int, bytes]] = []
        self.requests: list[str] = []


class ScriptedHandler(LoopbackHandler):
    server: ScriptedServer

    def answer_next(self) -> None:
        self.body()
        self.server.requests.append(f"{self.command} {self.path}")
        status, body = self.server.answers.pop(0) if self.server.answers else (200, b"")
        place = ("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")
        self.answer(status, body, *([place] if status == 206 else []))

    do_GET = do_PUT = do_POST = do_DELETE = answer_next


@pytest.fixture
def scripted(without_aws: None) -> Iterator[ScriptedServer]:
    with ScriptedServer().running() as server:
        yield server


@pytest.fixture
def store(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    return S3Store("s3://bucket/ca", StoreOptions(endpoint=scripted.endpoint))


def every_call(store: Store) -> dict[str, Callable[[], object]]:
    return {
        "get": lambda: store.get("packs/one"),
        "get_range": lambda: store.get_range("packs/one", 0, 4),
        "put": lambda: store.put("packs/one", b"octets"),
        "put_if_absent": lambda: store.put_if_absent("commits/1", b"octets"),
        "list": lambda: list(store.list("packs/")),
        "delete": lambda: store.delete(["packs/one"]),
    }


TIMES = 5
CALLS = ["get", "get_range", "put", "put_if_absent", "list", "delete"]


def xml(code: str, message: str, more: str = "") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>'.encode()


# Against a real server.


@pytest.mark.parametrize("call", CALLS)
def test_a_bucket_that_does_not_exist_is_named(s3_environment: S3Server, call: str) -> None:
    store = open_store(StoreAddress("s3://no-such-bucket/ca"))

    with pytest.raises(ConnectionError, match=r"there is no bucket 'no-such-bucket' at http://127.0.0.1:.*: create it"):
        every_call(store)[call]()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_not_allowed(
    s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch, call: str, variable: str
) -> None:
    monkeypatch.setenv(variable, "WRONG-CREDENTIAL")
    store = open_store(StoreAddress("s3://bucket/ca"))

    with pytest.raises(PermissionError, match=r"not allowed: .*: check the credentials") as caught:
        every_call(store)[call]()

    assert "WRONG-CREDENTIAL" not in str(caught.value)
    assert s3_environment.secret_key not in str(caught.value)


def test_the_servers_own_words_tell_an_unknown_key_from_a_wrong_secret(
    s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class of the client's error and the status are the same."""
    said = []
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        with monkeypatch.context() as wrong:
            wrong.setenv(variable, "WRONG")
            store = open_store(StoreAddress(f"s3://{s3_environment.new_bucket()}"))
            with pytest.raises(PermissionError) as caught:
                store.get("one")
            said.append(str(caught.value))

    assert "not allowed: InvalidAccessKeyId The access key" in said[0]
    assert "not allowed: SignatureDoesNotMatch The request signature" in said[1]


def test_a_configured_endpoint_goes_before_the_environment(
    s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    store = open_store(
        StoreAddress(
            f"s3://{s3_environment.new_bucket()}", StoreOptions(endpoint=s3_environment.endpoint, region="us-east-1")
        )
    )

    store.put("one", b"x")

    assert store.get("one") == b"x"


def test_prefixes_keep_stores_apart(s3_environment: S3Server) -> None:
    bucket = s3_environment.new_bucket()
    one, two, whole = (open_store(StoreAddress(f"s3://{bucket}{prefix}")) for prefix in ("/ca", "/ca2", ""))
    one.put("LATEST", b"1")
    two.put("LATEST", b"22")

    assert list(one.list()) == [ObjectInfo("LATEST", 1)]
    assert list(two.list()) == [ObjectInfo("LATEST", 2)]
    assert sorted(whole.list("ca")) == [ObjectInfo("ca/LATEST", 1), ObjectInfo("ca2/LATEST", 2)]


def test_foreign_objects_are_not_listed(s3_environment: S3Server) -> None:
    bucket = s3_environment.new_bucket()
    raw = Client(bucket, client_options={"allow_http": True})
    for key in ("ca/packs/one", "ca/a note of the operator.txt", "ca/.hidden/x", "ca/packs/ä"):
        raw.put(key, b"x")

    assert list(open_store(StoreAddress(f"s3://{bucket}/ca")).list()) == [ObjectInfo("packs/one", 1)]


def test_caches_on_the_way_may_keep_only_what_never_changes(s3_environment: S3Server) -> None:
    bucket = s3_environment.new_bucket()
    store = open_store(StoreAddress(f"s3://{bucket}"))
    store.put("LATEST", b"1")
    store.put_if_absent("commits/1", b"1")
    store.put("packs/one", b"1")
    store.put("packs/large", bytes(9 << 20))

    raw = Client(bucket, client_options={"allow_http": True})
    kept = {name: raw.get(name).attributes["Cache-Control"] for name in ("LATEST", "commits/1", "packs/one")}
    assert kept == {"LATEST": "no-store", "commits/1": "no-store", "packs/one": "max-age=31536000, immutable"}
    assert raw.get("packs/large").attributes["Cache-Control"] == "max-age=31536000, immutable"


# Against a server that answers what it is told to.


def test_a_conflict_of_racing_creates_is_repeated(scripted: ScriptedServer, store: Store) -> None:
    conflict = (409, xml("ConditionalRequestConflict", "try again"))
    scripted.answers = [conflict, conflict, (200, b"")]

    store.put_if_absent("commits/1", b"octets")

    assert scripted.requests == ["PUT /bucket/ca/commits/1"] * 3


def test_an_upload_that_the_server_no_longer_knows_is_begun_again(scripted: ScriptedServer, store: Store) -> None:
    """Its completion was answered, the answer got lost, and some servers then know of no such upload."""
    begun = (200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
    done = (200, b'<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>')
    part = dropped = (200, b"")
    scripted.answers = [begun, part, part, (404, xml("NoSuchUpload", "gone")), dropped, begun, part, part, done]

    store.put("packs/large", bytes(9 << 20))

    assert [request.partition(" ")[0] for request in scripted.requests] == [
        *("POST", "PUT", "PUT", "POST", "DELETE"),
        *("POST", "PUT", "PUT", "POST"),
    ]


def test_a_conflict_that_the_other_one_won_says_so(scripted: ScriptedServer, store: Store) -> None:
    scripted.answers = [(409, xml("ConditionalRequestConflict", "")), (412, xml("PreconditionFailed", ""))]

    with pytest.raises(FileExistsError, match="s3://bucket/ca/commits/1"):
        store.put_if_absent("commits/1", b"octets")


def test_a_conflict_without_end_leaves_the_outcome_open(scripted: ScriptedServer, store: Store) -> None:
    scripted.answers = [(409, xml("ConditionalRequestConflict", ""))] * 20

    with pytest.raises(ConnectionError, match=r"in the way again and again: run again"):
        store.put_if_absent("commits/1", b"octets")

    assert len(scripted.requests) == 6


@pytest.mark.parametrize(("status", "call"), [(500, "get"), (429, "get"), *((503, call) for call in CALLS)])
def test_a_server_in_trouble_is_asked_five_times_and_three_times_where_somebody_waits_for_one_answer(
    scripted: ScriptedServer, store: Store, status: int, call: str
) -> None:
    scripted.answers = [(status, xml("SlowDown", "Please reduce your request rate."))] * TIMES

    with pytest.raises(ConnectionError, match=f"no good answer from {scripted.endpoint}: SlowDown Please reduce"):
        every_call(store)[call]()

    assert len(scripted.requests) == (3 if call == "get_range" else TIMES)


@pytest.mark.parametrize("call", CALLS)
def test_any_other_refusal_says_what_the_server_said(scripted: ScriptedServer, store: Store, call: str) -> None:
    scripted.answers = [(400, xml("EntityTooLarge", "Too large."))]

    with pytest.raises(OSError, match=f"refused by {scripted.endpoint}: EntityTooLarge Too large") as caught:
        every_call(store)[call]()

    assert type(caught.value) is OSError
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("status", [501, 505, 507])
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_settles_the_matter_leaves_no_outcome_open(
    scripted: ScriptedServer, store: Store, status: int, call: str
) -> None:
    scripted.answers = [(status, xml("NotImplemented", "A header is not implemented."))] * TIMES

    with pytest.raises(OSError, match=r"NotImplemented A header is not implemented.") as caught:
        every_call(store)[call]()

    assert type(caught.value) is OSError


@pytest.mark.parametrize("call", ["put", "delete"])
def test_a_conflict_of_a_plain_write_is_not_taken_for_a_lost_race(
    scripted: ScriptedServer, store: Store, call: str
) -> None:
    scripted.answers = [(409, xml("OperationAborted", "A conflicting operation is in progress."))]

    with pytest.raises(OSError, match="OperationAborted") as caught:
        every_call(store)[call]()

    assert type(caught.value) is OSError


@pytest.mark.parametrize("call", CALLS)
def test_a_bucket_of_another_region_says_so(scripted: ScriptedServer, store: Store, call: str) -> None:
    scripted.answers = [(301, xml("PermanentRedirect", "elsewhere"))]

    with pytest.raises(ConnectionError, match="the bucket is in another region: set AWS_REGION"):
        every_call(store)[call]()


def test_a_short_answer_to_a_range_is_an_error(scripted: ScriptedServer, store: Store) -> None:
    scripted.answers = [(206, b"oct")]

    with pytest.raises(EOFError, match="s3://bucket/ca/packs/one: 4 octets from 0 on"):
        store.get_range("packs/one", 0, 4)


def test_a_server_without_ranges_is_an_error(scripted: ScriptedServer, store: Store) -> None:
    scripted.answers = [(200, b"all octets of it")]

    with pytest.raises(OSError, match="non-partial response when range requested"):
        store.get_range("packs/one", 0, 4)


def test_a_range_is_one_request(scripted: ScriptedServer, store: Store) -> None:
    scripted.answers = [(206, b"octe")]

    assert store.get_range("packs/one", 0, 4) == b"octe"
    assert scripted.requests == ["GET /bucket/ca/packs/one"]


@pytest.mark.parametrize("call", CALLS)
def test_messages_hold_nothing_that_was_signed_or_secret(scripted: ScriptedServer, store: Store, call: str) -> None:
    said = "<AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256 token</StringToSign>"
    scripted.answers = [(403, xml("SignatureDoesNotMatch", "The signature does not match.", said))]

    with pytest.raises(PermissionError) as caught:
        every_call(store)[call]()

    text = str(caught.value)
    assert "SignatureDoesNotMatch The signature does not match." in text
    assert not any(word in text for word in ("AKIAEXAMPLE", "the-secret", "AWS4", "token", "Debug", "\n"))


def test_a_thousand_objects_are_deleted_by_each_request(scripted: ScriptedServer, store: Store) -> None:
    scripted.answers = [(200, b"<DeleteResult><Deleted><Key>ca/packs/1</Key></Deleted></DeleteResult>")] * 5

    store.delete([f"packs/{number}" for number in range(4_001)])

    assert scripted.requests == ["POST /bucket?delete"] * 5


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        ("AccessDenied", PermissionError, "ca: not allowed: AccessDenied ca/packs/b: Not yours.: check the"),
        ("SlowDown", ConnectionError, "no good answer from http://127.0.0.1:.*: SlowDown Not yours."),
        ("InternalError", ConnectionError, "no good answer"),
        ("Unheard", OSError, "refused by"),
    ],
)
def test_a_deletion_that_is_refused_within_an_answer_of_200_is_an_error(
    scripted: ScriptedServer, store: Store, code: str, kind: type[OSError], text: str
) -> None:
    refused = f"<Error><Key>ca/packs/b</Key><Code>{code}</Code><Message>Not yours.</Message></Error>"
    answer = f"<DeleteResult><Deleted><Key>ca/packs/a</Key></Deleted>{refused}</DeleteResult>"
    scripted.answers = [(200, answer.encode())] * TIMES  # what may be over soon is asked again

    with pytest.raises(OSError, match=text) as caught:
        store.delete(["packs/a", "packs/b"])

    assert type(caught.value) is kind
    assert ("s3:DeleteObject" in str(caught.value)) == (code == "AccessDenied")


def test_a_forbidden_read_may_be_an_absent_object(scripted: ScriptedServer, store: Store) -> None:
    scripted.answers = [(403, xml("AccessDenied", "Access Denied"))]

    with pytest.raises(PermissionError, match="of an absent object too, unless s3:ListBucket is allowed"):
        store.get("commits/2")


# Without a server, or without credentials.


@pytest.mark.parametrize("call", ["get", "put", "put_if_absent", "list"])
def test_a_dead_endpoint_says_why(s3_environment: S3Server, call: str) -> None:
    store = open_store(StoreAddress("s3://bucket/ca", StoreOptions(endpoint="http://127.0.0.1:1")))

    with pytest.raises(ConnectionError, match=r"no answer from http://127.0.0.1:1: Connection refused"):
        every_call(store)[call]()


def test_an_https_endpoint_that_speaks_http_says_so(s3_environment: S3Server) -> None:
    store = open_store(
        StoreAddress("s3://bucket/ca", StoreOptions(endpoint=s3_environment.endpoint.replace("http:", "https:")))
    )

    with pytest.raises(ConnectionError, match="does not speak TLS"):
        store.get("one")


def test_no_credentials_and_no_role_is_known_at_once(without_aws: None) -> None:
    with pytest.raises(PermissionError, match="s3://bucket/ca: no AWS credentials: set AWS_ACCESS_KEY_ID and"):
        open_store(StoreAddress("s3://bucket/ca"))


@pytest.mark.parametrize("call", ["get", "put_if_absent"])
def test_no_credentials_of_an_instance_is_known_soon(
    without_aws: None, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    store = open_store(StoreAddress("s3://bucket/ca", StoreOptions(endpoint="http://127.0.0.1:2")))

    with pytest.raises(PermissionError, match=r"no AWS credentials \(Connection refused\): set AWS_ACCESS_KEY_ID and"):
        every_call(store)[call]()


@pytest.mark.parametrize(
    ("variables", "detail"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}, "Missing SecretAccessKey"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere", "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}, "/nowhere"),
    ],
)
def test_half_of_what_credentials_need_says_which_half(
    without_aws: None, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], detail: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(PermissionError, match=f"no AWS credentials .*{detail}"):
        open_store(StoreAddress("s3://bucket/ca")).get("one")


def test_a_provider_that_fails_is_a_matter_of_credentials(without_aws: None) -> None:
    def expired() -> "S3Credential":
        raise RuntimeError("the session has expired")

    store = open_store(
        StoreAddress("s3://bucket/ca", StoreOptions(endpoint="http://127.0.0.1:1", credentials=lambda _place: expired))
    )

    with pytest.raises(PermissionError, match=r"could not be renewed: .*the session has expired"):
        store.get("one")


@pytest.mark.slow
def test_nobody_waits_long_for_a_server_that_is_silent(
    s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # the queue is full: the next to come hear nothing at all
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        mute = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=50))  # accepts, says nothing
        unreachable = open_store(
            StoreAddress("s3://bucket/ca", StoreOptions(endpoint=f"http://127.0.0.1:{deaf.getsockname()[1]}"))
        )
        silent = open_store(
            StoreAddress("s3://bucket/ca", StoreOptions(endpoint=f"http://127.0.0.1:{mute.getsockname()[1]}"))
        )
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
            monkeypatch.delenv(variable)
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        nameless = open_store(StoreAddress("s3://bucket/ca", StoreOptions(endpoint=s3_environment.endpoint)))

        def wait_for(call: Callable[[], object]) -> tuple[type[BaseException], float]:
            start = time.monotonic()
            with pytest.raises(OSError, match="no answer in time") as caught:
                call()
            return caught.type, time.monotonic() - start

        calls = [call for name, call in every_call(unreachable).items()]
        calls += [every_call(silent)[name] for name in ("get", "get_range", "list", "delete")]
        with ThreadPoolExecutor(len(calls) + 1) as pool:
            waits = list(pool.map(wait_for, [*calls, lambda: nameless.get("one")]))

    assert [kind for kind, _ in waits] == [ConnectionError] * len(calls) + [PermissionError]
    assert max(seconds for _, seconds in waits) < 12
