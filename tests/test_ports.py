import socket

from tests.ports import A_WORKER, free_port


def test_each_port_is_another_one_that_no_client_is_given() -> None:
    ports = [free_port() for _ in range(100)]

    assert len(set(ports)) == 100
    assert max(ports) < 32_768


def test_a_port_where_somebody_listens_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert taken.getsockname()[1] not in {free_port() for _ in range(A_WORKER)}
