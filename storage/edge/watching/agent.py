"""The agent of HAProxy's ``agent-check``: a line about the state of this server to whoever connects.

    ============  ==============================================================================================
    ready         ``up 100%``
    degraded      ``up 10%``: another server is better off; where all are degraded, all have the same weight
    unready       ``down #`` and the codes of the reasons; degraded too, with ``--unready-when-degraded``
    ============  ==============================================================================================

Never ``ready``, ``drain`` or ``maint``: what an operator has ordered of a server must stay.
"""

import socket
from collections.abc import Iterable
from socketserver import BaseRequestHandler
from typing import Any, Final

from storage.edge.watching.cells import SILENT_S, Ledger, Totals
from storage.edge.watching.listening import SideServer
from storage.edge.watching.readiness import State

DEGRADED_PERCENT: Final = 10

_PATIENCE_S = 5.0
_EXAMPLES = 5
_ORDER = (State.READY, State.DEGRADED, State.UNREADY)


class AgentServer(SideServer):
    """Tells the state of all workers to whoever connects.

    Args:
        listener: where.
        ledger: reads what the workers say of themselves.
        workers: how many there should be.
        unready: the states in which no request may come.
    """

    def __init__(self, listener: socket.socket, ledger: Ledger, workers: int, unready: Iterable[State]) -> None:
        super().__init__(listener, _Handler)
        self._ledger = ledger
        self._workers = workers
        self._unready = frozenset(unready)

    def line(self) -> bytes:
        """Return what is to be said now."""
        return line_about(self._ledger.read(), self._workers, self._unready)


class _Handler(BaseRequestHandler):
    server: AgentServer

    def handle(self) -> None:
        self.request.settimeout(_PATIENCE_S)
        self.request.sendall(self.server.line())


def line_about(totals: Totals, workers: int, unready: frozenset[State]) -> bytes:
    r"""Return a line about all workers: the state of the one that is the worst off; of one that hangs, degraded.

    >>> line_about(Totals({}, (), 0), 1, frozenset())
    b'down #no worker\n'
    """
    heard = [one.state for one in totals.workers if one.silent_s <= SILENT_S]
    if not heard:
        return b"down #no worker\n"
    state = max((State(one["state"]) for one in heard), key=_ORDER.index)
    if len(heard) < workers:
        state = max(state, State.DEGRADED, key=_ORDER.index)
    if state is State.UNREADY or state in unready:
        return f"down #{', '.join(_codes(heard)) or state.value}\n".encode("ascii", "replace")
    return f"up {100 if state is State.READY else DEGRADED_PERCENT}%\n".encode()


def _codes(states: list[dict[str, Any]]) -> list[str]:
    return sorted({code for state in states for code, _ in state["reasons"]})[:_EXAMPLES]
