"""What the server shows of its workers, on addresses of their own: metrics, and the agent of HAProxy."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from storage.edge.serving.settings import Settings
from storage.edge.watching.agent import AgentServer
from storage.edge.watching.cells import Ledger, ledger_folder
from storage.edge.watching.exposition import MetricsServer
from storage.edge.watching.listening import listen, serving
from storage.edge.watching.metrics import Metrics


@contextmanager
def shown(settings: Settings, *, host: str, workers: int) -> Iterator[Settings]:
    """Show what the workers count and say of themselves; the settings that come are those to give to them.

    Raises:
        ValueError: one cannot listen there; the text says why.
        OSError: there is no room for what workers count.
    """
    with ExitStack() as opened:
        if settings.metrics is None and settings.agent_port is None:
            yield settings
            return
        ledger = Ledger(folder := opened.enter_context(ledger_folder()))
        if settings.metrics is not None:
            listener = _listen("metrics", settings.metrics)
            opened.enter_context(serving(MetricsServer(listener, Metrics(ledger, workers)), "metrics"))
        if settings.agent_port is not None:
            listener = _listen("the agent", f"[{host}]:{settings.agent_port}")
            agent = AgentServer(listener, ledger, workers, settings.unready_states)
            opened.enter_context(serving(agent, "agent"))
        yield replace(settings, counts_folder=folder)


def _listen(who: str, address: str) -> socket.socket:
    try:
        return listen(address)
    except ValueError as nonsense:
        raise ValueError(f"{who}: {nonsense}") from None
    except OSError as error:
        raise ValueError(f"{who} cannot listen at {address}: {error.strerror or error}") from None
