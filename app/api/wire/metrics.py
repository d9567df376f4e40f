"""What Prometheus is told, in a registry of the app's own."""

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest


class Metrics:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "trunkline_http_request_duration_seconds",
            "From the request's arrival to the end of its answer.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._open_calls = Gauge("trunkline_open_calls", "Calls that have not ended.", registry=self._registry)
        self._readers = Gauge("trunkline_event_streams", "Event streams that are open here.", registry=self._registry)

    def render(self, *, open_calls: int, event_streams: int) -> bytes:
        """The text exposition format."""
        self._open_calls.set(open_calls)
        self._readers.set(event_streams)
        return generate_latest(self._registry)
