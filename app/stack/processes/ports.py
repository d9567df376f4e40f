"""Ports that a part needs, and who holds one that is taken."""

import socket
from dataclasses import dataclass
from enum import StrEnum

import psutil

from app.errors import Conflict


class PortBusy(Conflict):
    """A port that a part needs is held by another process."""

    code = "port_busy"


class Protocol(StrEnum):
    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True)
class PortClaim:
    """A part wants to listen here; always on loopback."""

    protocol: Protocol
    number: int

    def __str__(self) -> str:
        return f"{self.protocol} {self.number}"


def tcp(number: int) -> PortClaim:
    return PortClaim(Protocol.TCP, number)


def udp(number: int) -> PortClaim:
    return PortClaim(Protocol.UDP, number)


def is_free(claim: PortClaim) -> bool:
    kind = socket.SOCK_STREAM if claim.protocol is Protocol.TCP else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if claim.protocol is Protocol.TCP:
            # As the servers do, so that connections of the last run in TIME_WAIT do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", claim.number))
        except OSError:
            return False
    return True


def find_holder(claim: PortClaim) -> str:
    """ "name (pid 123)" of who listens there, or "another process" where the system does not tell."""
    try:
        for connection in psutil.net_connections(kind=str(claim.protocol)):
            local = connection.laddr
            if not local or local.port != claim.number or connection.pid is None:
                continue
            if claim.protocol is Protocol.TCP and connection.status != psutil.CONN_LISTEN:
                continue
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another process"


def check_port(part: str, claim: PortClaim) -> None:
    """Raises PortBusy with who holds it and what to do."""
    if not is_free(claim):
        raise PortBusy(
            f"{part} needs port {claim} on 127.0.0.1, but {find_holder(claim)} holds it. "
            "Stop that process, or move Trunkline to a free block of ports with TRUNKLINE_PORT_BASE=21000 (say)."
        )
