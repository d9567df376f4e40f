"""The configuration of Redis, LiveKit and LiveKit SIP, all on loopback. Pure: settings in, text out."""

from urllib.parse import urlsplit

import yaml

from app.settings import Settings


def redis_config(settings: Settings, folder: str) -> str:
    """LiveKit keeps its rooms, trunks and dispatch rules there: append-only, so that a restart forgets nothing."""
    lines = (
        "bind 127.0.0.1",
        f"port {settings.ports.redis}",
        "daemonize no",
        f'dir "{folder}"',
        "appendonly yes",
        'save ""',
        f"requirepass {urlsplit(settings.redis_url).password}",
    )
    return "\n".join(lines) + "\n"


def livekit_config(settings: Settings) -> str:
    ports = settings.ports
    return _as_yaml(
        {
            "port": ports.livekit,
            "bind_addresses": ["127.0.0.1"],
            "keys": {settings.livekit_api_key: settings.livekit_api_secret.get_secret_value()},
            "redis": _redis(settings),
            "rtc": {
                # Its TCP listener cannot be bound to loopback alone; on one machine UDP is enough.
                "tcp_port": 0,
                "udp_port": ports.livekit_udp,
                "use_external_ip": False,
                "node_ip": "127.0.0.1",
                "enable_loopback_candidate": True,
                "interfaces": {"includes": ["lo"]},
            },
            "webhook": {
                "api_key": settings.livekit_api_key,
                "urls": [f"{settings.api_url}/webhooks/livekit"],
            },
            "logging": _logging(settings),
        }
    )


def sip_config(settings: Settings) -> str:
    ports = settings.ports
    return _as_yaml(
        {
            "api_key": settings.livekit_api_key,
            "api_secret": settings.livekit_api_secret.get_secret_value(),
            "ws_url": settings.livekit_url,
            "redis": _redis(settings),
            "sip_port": ports.sip,
            "rtp_port": f"{ports.rtp_first}-{ports.rtp_last}",
            # Without a fixed address it looks for an interface other than loopback, and ends where there is none.
            "nat_1_to_1_ip": "127.0.0.1",
            "listen_ip": "127.0.0.1",
            # How many calls fit is the worker's decision; by default LiveKit SIP refuses to dial on a busy CPU.
            "max_cpu_utilization": 1.0,
            "logging": _logging(settings),
        }
    )


def _logging(settings: Settings) -> dict[str, object]:
    """At info both write who calls whom into every line of a call."""
    return {"level": "info" if settings.log_pii else "warn", "json": True}


def _redis(settings: Settings) -> dict[str, str]:
    url = urlsplit(settings.redis_url)
    where = {"address": f"{url.hostname}:{url.port or 6379}"}
    return where | {name: value for name in ("username", "password") if (value := getattr(url, name))}


def _as_yaml(content: dict[str, object]) -> str:
    return yaml.safe_dump(content, sort_keys=False)
