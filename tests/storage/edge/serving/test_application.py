import asyncio

from storage.edge.serving.application import Application, Message, Scope
from storage.edge.serving.settings import Settings
from tests.storage.edge.answers import FakeSource


class Idle(FakeSource):
    def refresh(self) -> bool:
        return False


def test_a_client_that_does_not_send_its_body_is_told_so_and_let_go() -> None:
    application = Application(Idle(), is_local=True, settings=Settings(body_s=0.01))
    scope: Scope = {"type": "http", "method": "POST", "raw_path": b"/", "headers": [], "client": ("192.0.2.1", 1)}
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError("waited for the client")

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    asyncio.run(application(scope, receive, send))

    start, body = sent
    assert start["status"] == 408
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
