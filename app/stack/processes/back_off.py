"""How long to wait before a part that died is started again. Pure."""

from dataclasses import dataclass

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
HEALTHY_SECONDS = 60.0


@dataclass(frozen=True)
class BackOff:
    """Doubles from half a second to half a minute; a part that was well for a minute starts from the beginning."""

    failures: int = 0

    def after_exit(self, ready_seconds: float) -> "BackOff":
        """The next state, when the part ended after being ready that long."""
        return BackOff(1 if ready_seconds >= HEALTHY_SECONDS else self.failures + 1)

    @property
    def delay_seconds(self) -> float:
        if self.failures == 0:
            return 0.0
        return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(self.failures - 1, 16))
