"""What a failed request to S3 was, turned into the builtin errors of the contract.

obstore's errors carry no fields: a class, and a text of what was asked, the status and the body of the answer, and the
chain of causes. Where the class decides, the text is not looked at. Where it does not, the parts used here are picked
out of the text one by one, and the text itself is never shown: the address of a request for credentials can hold a
token, and the body of an answer repeats what was signed. Each line that picks says what would be lost without it.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from storage.stores.wording import absent

HOW_TO_GIVE_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for temporary ones), "
    "or run where an instance, container or web identity role is given"
)

_SETTLED = frozenset({HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, HTTPStatus.INSUFFICIENT_STORAGE, HTTPStatus.LOOP_DETECTED})
_ELSEWHERE = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_STATUS_OF: dict[type[Exception], int] = {
    FileNotFoundError: HTTPStatus.NOT_FOUND,
    PermissionDeniedError: HTTPStatus.FORBIDDEN,
    PreconditionError: HTTPStatus.PRECONDITION_FAILED,
}
_ASKED = re.compile(r"Error performing [A-Z]+ (\S+) in ")
_REDIRECTED = "configured region"  # a redirection that says not where to: S3's, and obstore gives no status
_BROKEN_OFF = "request or response body error"
# S3 answers 200 to a request that names objects to be deleted, and tells of each one that it did not delete (API
# reference, DeleteObjects). obstore reads that, and gives it neither a class nor a status.
_REFUSED_DELETION = re.compile(r"DeleteObjects request failed for key (\S+): (.{0,300}) \(code: (\w{1,80})\)")
_STATUS_OF_CODE = {
    "AccessDenied": HTTPStatus.FORBIDDEN,
    "InternalError": HTTPStatus.INTERNAL_SERVER_ERROR,
    "ServiceUnavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "SlowDown": HTTPStatus.SERVICE_UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where a bucket is, for messages: the URL of what is kept in it, its name, and what its server is called."""

    url: str
    bucket: str
    server: str


@dataclass(frozen=True, slots=True)
class S3Answer:
    """What a server said: the status, and the code and the words of S3's error document; empty where it did not say."""

    status: int
    code: str = ""
    words: str = ""

    @classmethod
    def told_by(cls, error: Exception) -> Self:
        """Return what obstore tells of an answer; status 0: there was none."""
        text = str(error)
        if refused := _REFUSED_DELETION.search(text):
            key, words, code = refused.groups()
            return cls(_STATUS_OF_CODE.get(code, HTTPStatus.BAD_REQUEST), code, f"{key}: {words}")
        # The class decides but for three. A listing that fails is a GenericError, whatever was answered; so is a range
        # behind the end (416), and trouble of the server that leaves the outcome open (503) beside a refusal that does
        # not (400). AlreadyExistsError is 412, or 409, which decides nothing. UnauthenticatedError is 401, or no answer
        # at all: our own provider of credentials has failed.
        status = _STATUS_OF.get(type(error)) or int(_first(r"status code: (\d{3})", text) or 0)
        # Status 404 and the class are the same for an absent object, which is nothing unusual (the next commit), and
        # for an absent bucket, in which a first generation would be published (NoSuchKey, NoSuchBucket). And what may
        # be over soon, in an answer of 200 to a request for deletions, is repeated by obstore and then has no status.
        code = _first(r"<Code>([A-Za-z0-9.]{1,80})</Code>", text)
        return cls(
            status or _STATUS_OF_CODE.get(code, 0),
            code,
            # Status 403 is a wrong key, a wrong secret, a clock that is off, or a right that is missing: only the
            # server's own words say which, to the operator.
            words=_first(r"<Message>([^<]{1,300})</Message>", text),
        )

    def __str__(self) -> str:
        return " ".join(part for part in (self.code, self.words) if part) or f"HTTP status {self.status}"


def is_conflict(error: AlreadyExistsError | PreconditionError) -> bool:
    """Say whether a conditional write met another one on its way (409): nothing is decided, it is to be repeated.

    obstore reports it as if the object were there.
    """
    return S3Answer.told_by(error).status == HTTPStatus.CONFLICT


def is_unanswered(error: Exception) -> bool:
    """Say whether a request went out and had no answer, so that what came of it is open.

    obstore repeats by itself what was answered with trouble (500, 503), and what found nobody to connect to.
    """
    text = str(error)
    if S3Answer.told_by(error).status or _REDIRECTED in text or "kind: Connect," in text:
        return False
    return _ASKED.search(text) is not None


def is_broken_off(error: Exception) -> bool:
    """Say whether the body of an answer ended half-way."""
    return _BROKEN_OFF in str(error)


def is_forgotten_upload(error: Exception) -> bool:
    """Say whether a server no longer knows the parts of a large object: it may have put them together already.

    obstore repeats the request that completes an upload when the answer got lost, and some servers then say that there
    is no such upload.
    """
    return S3Answer.told_by(error).code == "NoSuchUpload"


def is_behind_the_end(error: BaseError) -> bool:
    """Say whether a range begins at or behind the object's end (416)."""
    return S3Answer.told_by(error).status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


def no_credentials(place: S3Place, detail: str = "") -> PermissionError:
    """Return the error of a store for which no credentials could be found."""
    return PermissionError(
        f"{place.url}: no AWS credentials{f' ({detail})' if detail else ''}: {HOW_TO_GIVE_CREDENTIALS}"
    )


def translate(error: Exception, place: S3Place, name: str, *, reading: bool) -> OSError:
    """Return the builtin error for one of obstore's; `name` is empty where the bucket as a whole is meant."""
    answer, text = S3Answer.told_by(error), str(error)
    if isinstance(error, UnauthenticatedError) and not answer.status:
        return PermissionError(f"{place.url}: the AWS credentials could not be renewed: {_first_line(error)}")
    asked = _first(_ASKED, text)
    if _is_about_credentials(asked, place, error):
        said = str(answer) if answer.status else _cause(text)
        return no_credentials(place, said or _first_line(error))
    if answer.status:
        return fault_of(answer, place, name, reading=reading)
    if _REDIRECTED in text:
        return _in_another_region(place)
    at = f"{place.url}/{name}" if name else place.url
    if asked or is_broken_off(error):
        what = f"no answer from {place.server}: {_cause(text)}" if asked else f"half an answer from {place.server}"
        return ConnectionError(f"{at}: {what}")
    return OSError(f"{at}: {_first_line(error)}")


def fault_of(answer: S3Answer, place: S3Place, name: str, *, reading: bool) -> OSError:
    """Return the error for an answer; `name` is empty where the bucket as a whole is meant."""
    status = answer.status
    reads_object = reading and name != ""
    if answer.code == "NoSuchBucket" or (status == HTTPStatus.NOT_FOUND and not reads_object):
        return ConnectionError(
            f"{place.url}: there is no bucket {place.bucket!r} at {place.server}: create it, or correct its name, "
            "the endpoint or the region"
        )
    if status == HTTPStatus.NOT_FOUND:
        return absent(place.url, name)
    if answer.code in _ELSEWHERE or status in (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.TEMPORARY_REDIRECT):
        return _in_another_region(place)
    right = "" if name else "s3:ListBucket" if reading else "s3:DeleteObject"  # what is done to a bucket as a whole
    return _refusal(answer, place, f"{place.url}/{name}" if name else place.url, right, reads_object=reads_object)


def _refusal(answer: S3Answer, place: S3Place, at: str, right: str, *, reads_object: bool) -> OSError:
    status = answer.status
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        # Wrong keys and signatures have codes of their own.
        may_be_absent = reads_object and answer.code in ("", "AccessDenied")
        hint = " (S3 says so of an absent object too, unless s3:ListBucket is allowed)" if may_be_absent else ""
        right = f" ({right})" if right else ""
        return PermissionError(f"{at}: not allowed: {answer}{hint}: check the credentials and what they may do{right}")
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return OSError(
            f"{at}: {place.server} cannot do that: {answer}; publishing needs conditional writes (If-None-Match): "
            "use another server, or a newer version of this one"
        )
    # What a server in trouble says leaves open what came of a request; these say that nothing did.
    is_settled = status in _SETTLED or status < HTTPStatus.INTERNAL_SERVER_ERROR
    if is_settled and status != HTTPStatus.TOO_MANY_REQUESTS:
        return OSError(f"{at}: refused by {place.server}: {answer}")
    return ConnectionError(f"{at}: no good answer from {place.server}: {answer}")


def _in_another_region(place: S3Place) -> ConnectionError:
    return ConnectionError(
        f"{place.url}: the bucket is in another region: set AWS_REGION, or s3.region in the configuration"
    )


def _is_about_credentials(asked: str, place: S3Place, error: Exception) -> bool:
    """Say whether the failed request asked for credentials: then its address does not hold the bucket."""
    if asked:
        return place.bucket not in asked
    return re.search(r"Missing \w*(AccessKey|Key)\w*|token file", _first_line(error)) is not None


def _cause(text: str) -> str:
    """Return what a request died of without an answer, from the chain of causes."""
    if "kind: Timeout" in text or "TimedOut" in text:
        return "no answer in time"
    if "InvalidContentType" in text:
        return "it does not speak TLS (write http:// instead of https:// in the endpoint)"
    return _first(r'(?:message|error): "([^"]{1,200})"', text) or _first(r"HTTP error: ([^\n]{1,200})", text)


def _first(pattern: str | re.Pattern[str], text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1) if found else ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].removeprefix("Generic S3 error: ")
