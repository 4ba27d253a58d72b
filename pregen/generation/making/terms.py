"""What a signature of today would have, held against the runs of the current generation.

A record may be carried over where its run has what today's configuration gives: the responder's certificate and id, the
hashes of the issuer, algorithm, CertIDs and template; and a window that today's profile, lifetime, backdate and
certificates would have given to it when it was made. What may be known of a whole run is found here, once; what hangs
on single rows, such as windows that end with their certificates, is found where these are (`carrying.py`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from pregen.clock import seconds
from pregen.generation.making.plan import forms
from pregen.generation.making.templates import make_template
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.issuers import Issuer
from pregen.signers import ALGORITHMS
from pregen.validity import Fit, Refreshing, Validity, ValidityWindow, fit
from storage.tables import Run, Shape, StoredIssuer, Tables, Window

_UNREACHED_S = 1 << 62  # an instant that is never reached
# What of a run may not be as a signature of today has it; the first one: nothing.
FULL = "full"  # what was asked for: to sign all
DIFFERENCES = (
    "",
    "responder-certificate",
    "responder-id",
    "issuer",
    "algorithm",
    "cert-ids",
    "template",
    "profile",
    "backdate",
    "lifetime",
    FULL,
)


class Today(NamedTuple):
    """What a run signs with tonight.

    Attributes:
        issuers: as configured.
        windows: the usual ones, one for each issuer.
        refreshing: what is due.
        is_full: whether all is signed, but for what is left behind.
    """

    issuers: Sequence[Issuer]
    windows: Sequence[ValidityWindow]
    refreshing: Refreshing
    is_full: bool = False


class FormerWindow(NamedTuple):
    """What is known of the window of one run, for one issuer of today.

    Attributes:
        differs: what is not as today's configuration would have given it; empty: nothing.
        fit: whether that hangs on when certificates end.
        is_over: whether it ends before this run does, or has not begun.
        is_refresh_due: whether its refresh_by comes before the next run.
        cycle: periods until a record that is made now is due.
        is_tonights: whether it was made at the very start of this run, by an earlier attempt: so it is never due.
    """

    differs: str
    fit: Fit
    is_over: bool
    is_refresh_due: bool
    cycle: int
    is_tonights: bool


class FormerRun(NamedTuple):
    """What is known of one run.

    Attributes:
        group: of its records, in today's configuration; None: their issuer is not there any more.
        differs: what a signature of today would not have; empty: nothing.
        window: its window.
        judged: what is known of that.
        signer: 0, or which of the `Issuer.formers` of an issuer that is left behind has signed its records, from 1.
    """

    group: Group | None
    differs: str
    window: Window
    judged: FormerWindow | None
    signer: int = 0

    @property
    def may_carry(self) -> bool:
        """Whether there may be records that are carried over."""
        one = self.judged
        return bool(one and not (self.differs or one.is_refresh_due or one.is_over))


def former_runs(tables: Tables, today: Today, profile: str) -> tuple[FormerRun, ...]:
    """Return what is known of the runs of the current generation, by their numbers.

    Args:
        tables: of the current generation, with windows and runs.
        today: what a run signs with tonight.
        profile: name of the rules of windows that do not say it; empty: nobody knows.
    """
    judge = _Judge(tables, today, profile)
    return tuple(judge.run(run) for run in tables.runs)


class _Judge:
    """Holds tables against today's configuration; whatever several runs share is looked at once."""

    def __init__(self, tables: Tables, today: Today, profile: str) -> None:
        self._tables = tables
        self._today = today
        self._profile = profile
        self._index = {issuer.issuer_id: at for at, issuer in enumerate(today.issuers)}
        self._answers: dict[tuple[int, int], str] = {}  # what differs, by stored issuer and signer
        self._layouts: dict[tuple[int, int], str] = {}  # by shape, and by class of issuers
        self._windows: dict[tuple[int, int], FormerWindow] = {}  # by window, and by class of issuers
        classes: dict[tuple[object, ...], int] = {}
        self._signers = [(issuer, *issuer.formers) for issuer in today.issuers]
        self._form_class = [
            [classes.setdefault(_form_terms(one), len(classes)) for one in signers] for signers in self._signers
        ]
        paired = zip(today.issuers, today.windows, strict=True)
        terms = [(issuer.validity, issuer.not_after, window) for issuer, window in paired]
        self._window_class = [classes.setdefault(one, len(classes)) for one in terms]

    def run(self, run: Run) -> FormerRun:
        """Return what is known of a run."""
        shape, window = self._tables.shapes[run.shape], self._tables.windows[run.window]
        at = self._index.get(self._tables.issuers[run.issuer].issuer_id)
        if at is None:
            return FormerRun(None, "issuer", window, None)
        kind = RESPONSE_KINDS.index((shape.status, "reason" in shape.fields))
        judged = self._window(at, run.window)
        span_s = window.next_update - window.produced_at if judged.fit == Fit.OWN else 0
        told = [
            self._responder(at, signer, run.issuer) or self._layout(at, signer, run.shape, kind)
            for signer in range(len(self._signers[at]))
        ]
        signer = told.index("") if "" in told else 0
        differs = told[signer] or judged.differs
        is_full = self._today.is_full and not (judged.is_tonights or self._today.issuers[at].trouble)
        if not differs and is_full:
            differs = FULL
        return FormerRun(Group(at, shape.serial_bytes, kind, span_s), differs, window, judged, signer)

    def _responder(self, at: int, signer: int, stored: int) -> str:
        key = stored, signer
        if key not in self._answers:
            self._answers[key] = _responder_differs(self._signers[at][signer], self._tables.issuers[stored])
        return self._answers[key]

    def _layout(self, at: int, signer: int, number: int, kind: int) -> str:
        key = number, self._form_class[at][signer]
        if key not in self._layouts:
            shape = self._tables.shapes[number]
            self._layouts[key] = _layout_differs(self._signers[at][signer], kind, self._tables, shape)
        return self._layouts[key]

    def _window(self, at: int, number: int) -> FormerWindow:
        key = number, self._window_class[at]
        if key not in self._windows:
            self._windows[key] = self._judged(self._today.issuers[at], at, self._tables.windows[number])
        return self._windows[key]

    def _judged(self, issuer: Issuer, at: int, window: Window) -> FormerWindow:
        refreshing, tonight = self._today.refreshing, self._today.windows[at]
        is_tonights = window.produced_at == seconds(tonight.produced_at)
        if issuer.trouble:  # its records stay, whatever their windows are
            return FormerWindow("", Fit.ANY, is_over=False, is_refresh_due=False, cycle=1, is_tonights=is_tonights)
        fits = fit(window, issuer.validity, seconds(issuer.not_after))
        return FormerWindow(
            differs=_window_differs(window, window.profile or self._profile, issuer.validity, fits),
            fit=fits,
            is_over=window.next_update <= refreshing.now + refreshing.takes_s or window.this_update > refreshing.now,
            is_refresh_due=not is_tonights and refreshing.due(window.refresh_by, _UNREACHED_S),
            cycle=refreshing.cycle(seconds(tonight.refresh_by), seconds(tonight.next_update)),
            is_tonights=is_tonights,
        )


def _window_differs(window: Window, profile: str, validity: Validity, fits: Fit) -> str:
    """Return what of a window is not as today's would be; empty: nothing, or certificates that end say it."""
    if profile != validity.profile.name:
        return "profile"
    if fits != Fit.NONE:
        return ""
    backdate = int(validity.backdate.total_seconds())
    return "lifetime" if window.backdate in {None, backdate} else "backdate"


def _responder_differs(issuer: Issuer, stored: StoredIssuer) -> str:
    responder = issuer.responder
    if responder.certificate != stored.responder_certificate:
        return "responder-certificate"
    if responder.id_octets != stored.responder_id:
        return "responder-id"
    return "" if (issuer.name_hashes, issuer.key_hashes) == (stored.name_hashes, stored.key_hashes) else "issuer"


def _layout_differs(issuer: Issuer, kind: int, tables: Tables, shape: Shape) -> str:
    """Return what of the responses of a shape is not as today's are; empty: nothing."""
    wanted, responder = forms(issuer, Group(0, shape.serial_bytes, kind)), issuer.responder
    algorithm, responses = ALGORITHMS[responder.algorithm], shape.responses
    signed = algorithm.identifier, algorithm.encoding, algorithm.signature_bytes
    if any((one.algorithm, one.encoding, one.signature_bytes) != signed for one in responses):
        return "algorithm"
    if [one.hashes for one in responses] != [form.hashes for form in wanted]:
        return "cert-ids"
    templates = [tables.templates[one.template] for one in responses]
    return "" if templates == [make_template(form) for form in wanted] else "template"


def _form_terms(issuer: Issuer) -> tuple[object, ...]:
    """Return what tells the layouts of issuers apart."""
    responder = issuer.responder
    return issuer.cert_ids, responder.algorithm, responder.id_kind, len(responder.id_octets)
