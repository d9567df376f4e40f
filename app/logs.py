"""Structured logs: one JSON object a line on stderr, or colored text on a terminal.

What a person said, their number and their keys stand under `pii=` or nowhere; `pii` is dropped unless
TRUNKLINE_LOG_PII=1.
"""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Logger = structlog.stdlib.BoundLogger


def get_logger(name: str) -> Logger:
    return structlog.stdlib.get_logger(name)


def configure_logs(*, level: str = "INFO", show_pii: bool = False, json_lines: bool | None = None) -> None:
    """Set up structlog and route the standard library's records through it; call once per process."""
    as_json = (not sys.stderr.isatty()) if json_lines is None else json_lines

    def guard_pii(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if not show_pii:
            # "lk.pii.…" is what LiveKit's own records call it.
            for key in [key for key in event if key == "pii" or key.startswith("lk.pii.")]:
                del event[key]
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        guard_pii,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These two write whole request URLs, which carry phone numbers.
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
