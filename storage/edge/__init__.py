"""The edge: OCSP over HTTP, answered from a store by looking up and copying octets. It holds no key and no database.

``python -m storage.edge STORE`` is the server (`serve` the same as a function). All of its behaviour is one pure
function, `respond`.

**Protocol.** RFC 6960 over HTTP as RFC 9919 profiles it. GET carries the request at the end of the path, whatever
stands before it, and POST in the body; every outcome that OCSP has a word for is HTTP 200 with an OCSPResponse:

    =====================  ==================================================================================
    the stored answer      the certificate is in the store and its answer may be served now
    ``malformedRequest``   not a request, more than one certificate, a nonce of 0 or more than 128 octets, a critical
                           extension that is not understood
    ``unauthorized``       not in the store, or named by another hash than SHA-1 and SHA-256
    ``tryLater``           the store does not answer, is damaged or empty; the answer is not yet valid, or has 60 s
                           or less to live; the answer found is about another certificate (never sent, an alarm)
    ``internalError``      a defect of this program (an alarm)
    =====================  ==================================================================================

**Logging policy.** Each HTTP request that can be read as one is one line of JSON on stdout (or in ``--log-file``),
whatever came of it, so that afterwards anyone can tell who asked for which certificate and what was said: above all for
``unauthorized``. The rest granian answers with 400 or 431 by itself: docs/edge.md says what a proxy logs of it.

    =====================  ==================================================================================
    ``time``               when the request was complete, RFC 3339, UTC
    ``remote``             who has asked: the peer, or whom a trusted proxy names; or its network, or a pseudonym
    ``worker``             name of the worker that has answered
    ``method``, ``http``   method and status code of HTTP; a status of null: the client went away, or its body is
                           broken (it gets a 400 if it is still there)
    ``ocsp``               OCSPResponseStatus; absent where the reply is no OCSP response
    ``outcome``            one word, finer than the status: see `storage.edge.respond.Outcome`
    ``status``             what the answer says: ``good``, ``revoked`` or ``unknown``
    ``hash``               ``sha1``, ``sha256``, or the dotted OID of another hash
    ``issuer_name_hash``,  of the CertID, lower-case hex
    ``issuer_key_hash``
    ``serial``             the number in lower-case hex, with a sign where it is negative
    ``generation``         number of the commit that the answer, or its absence, comes from
    ``bytes``              octets of the reply's body
    ``microseconds``       from the last octet of the request to the finished reply
    ``weight``             for how many requests the line stands, where lines are sampled
    ``detail``             why, where the outcome alone does not tell
    ``alarm``              true where an operator must look: damage, a wrong answer caught, a defect
    =====================  ==================================================================================

**A store that says nothing** costs a request two seconds at most (``--store-deadline``), then ``tryLater``. After three
such lookups in a row none waits: ``tryLater`` at once, an alarm on stderr, and one thread that tries until the store
answers again. On a disk of this machine, what the kernel has in memory is read at once, without a thread (which would
cost a quarter of the rate), and only the rest is waited for: a disk may hang as well.

A body of more than 64 KiB and a path of more than 8 KiB, decoded once, are ``too-large`` (413, 414); whoever takes
longer than ten seconds over a head or a body is cut off. The body of a GET is not waited for.

Lines about the server itself (generations loaded, failed refreshes) are JSON on stderr. No header, no body and no path
is ever logged, so a line has at most 4,096 octets: workers may share a pipe without mixing their lines. Whoever reads
the log holds nothing up: 10,000 lines a worker wait for a slow reader or a full disk, and what does not fit is counted,
in the log itself (``{"time", "lost_lines": 123, "alarm": true}``) where it is missing, and on stderr.

**Readiness.** ``/healthz`` says that the process lives. ``/readyz`` says in JSON whether it is ``ready``, ``degraded``
or ``unready``, with reasons by issuer: the worst of what is known of issuers, shards, store and clock, and of what is
overdue (`storage.edge.watching.readiness` lists the codes). Unready is 503, degraded only with
``--unready-when-degraded``. What is expired, overdue or unreachable, and a wrong clock, are alarms on stderr: when they
begin, and when they are over. So are statuses that are older than ``--max-age``, and certificates whose status is known
(``--canary``) where they are answered wrongly.

**Metrics.** ``--metrics`` shows at an address of its own what all workers have counted, also those killed, and
``--agent-port`` tells HAProxy's agent-check how this server is. Nothing that clients send adds a label.

**Files.** What makes an answer is here: `respond.py` replies to what `storage.request_path` and `storage.request` have
read, with `caching.py` (headers), `guard.py` (the last look) and `record.py` (the log's line). `replies.py` keeps
replies that are asked for often, and `source.py` says what is needed of whoever knows the answers. `serving/` makes a
server and its processes of that, `following/` looks for new generations and says which of them can be served,
`watching/` says how the edge is, and `logs/` writes the lines. `aws_lambda/` is the same edge as a function.
"""

from storage.edge.respond import HttpRequest, Reply, respond
from storage.edge.serving.launch import serve
from storage.edge.source import AnswerSource
from storage.request import MalformedRequestError, parse_request
from storage.request_path import decode_path, readings

__all__ = [
    "AnswerSource",
    "HttpRequest",
    "MalformedRequestError",
    "Reply",
    "decode_path",
    "parse_request",
    "readings",
    "respond",
    "serve",
]
