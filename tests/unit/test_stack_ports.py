import os
import socket
from collections.abc import Iterator

import pytest

from app.settings import Ports
from app.stack.processes.ports import PortBusy, check_port, is_free, tcp, udp


@pytest.fixture
def held_tcp() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_held_tcp_port_is_named_with_its_holder_and_the_mend(held_tcp: int) -> None:
    with pytest.raises(PortBusy) as caught:
        check_port("redis", tcp(held_tcp))
    assert f"redis needs port tcp {held_tcp}" in caught.value.detail
    assert f"(pid {os.getpid()})" in caught.value.detail
    assert "TRUNKLINE_PORT_BASE" in caught.value.detail
    assert "\n" not in caught.value.detail


def test_a_port_held_on_every_address_is_held_on_loopback_too() -> None:
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        assert not is_free(tcp(holder.getsockname()[1]))


def test_tcp_and_udp_are_held_separately(held_tcp: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        assert not is_free(udp(port))
        with pytest.raises(PortBusy, match=f"udp {port}"):
            check_port("sip", udp(port))


def test_a_free_port_passes(held_tcp: int) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    check_port("api", tcp(port))


def test_a_block_of_ports_has_no_port_twice() -> None:
    ports = vars(Ports(21000))
    assert len(set(ports.values())) == len(ports)
    assert Ports(21000).rtp_last < 21310
