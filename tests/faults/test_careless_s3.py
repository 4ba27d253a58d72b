"""Two publishers on a store without conditional writes would both believe that they won: nobody publishes there."""

import pytest

from tests.careless_s3 import CarelessS3
from tests.pregen.cli.ca import Ca, Program

SAID = {False: "conditional writes are not atomic here", True: "publishing needs conditional writes (If-None-Match)"}


@pytest.mark.parametrize("refuses", [False, True], ids=["ignored", "501"])
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_store_without_conditional_writes_is_refused_before_anything_is_signed(
    ca: Ca, pregen: Program, without_aws: None, monkeypatch: pytest.MonkeyPatch, command: str, refuses: bool
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    with CarelessS3(refuses=refuses).running() as server:
        ca.configure(publish={"store": "s3://bucket/ca", "s3": {"endpoint": server.endpoint, "region": "us-east-1"}})

        ended = pregen(command, ca.config, "--json")

        assert (ended.code, ended.error["code"]) == (5, "storage"), ended.err
        assert SAID[refuses] in ended.err
        assert "unknown" not in ended.err
        assert server.objects == {}
        assert {key.split("/")[1] for method, key in server.requests if method == "PUT"} == {"probes"}
