"""The carrier's list of calls: the newest of them, found by id or by the number that was called."""

from collections import Counter
from collections.abc import Iterator, Mapping

from telephony.simulator.calls.record import CallRecord

KEEP_CALLS = 200_000
"""So many calls stay in the list (some 150 MB); older ones that are over leave it, and stand in the journal only."""


class CallBook(Mapping[str, CallRecord]):
    """Every call by its SID, oldest first. Never more than `keep`, but for calls that are not over."""

    def __init__(self, keep: int = KEEP_CALLS) -> None:
        self._keep = keep
        self._calls: dict[str, CallRecord] = {}
        self._by_to: dict[str, list[str]] = {}
        self._called: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()

    def __getitem__(self, sid: str) -> CallRecord:
        return self._calls[sid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def next_ordinal(self, to: str) -> int:
        """How many-th call to this number the next one is, from 1; goes on when old calls have left the list."""
        return self._called[to] + 1

    def ask(self, to: str) -> int:
        """How many-th request to call this number this one is, from 1, whatever becomes of it."""
        self._asked[to] = max(self._asked[to], self._called[to]) + 1
        return self._asked[to]

    def add(self, record: CallRecord) -> None:
        self._calls[record.sid] = record
        self._by_to.setdefault(record.to, []).append(record.sid)
        self._called[record.to] += 1
        while len(self._calls) > self._keep and self._drop_oldest():
            pass

    def newest_first(self, to: str | None = None) -> Iterator[CallRecord]:
        """All, or those to one number."""
        sids = reversed(self._calls) if to is None else reversed(self._by_to.get(to, []))
        return (self._calls[sid] for sid in sids)

    def _drop_oldest(self) -> bool:
        """False where the oldest is not over yet: then nothing is dropped."""
        oldest = next(iter(self._calls.values()))
        if not oldest.over:
            return False
        del self._calls[oldest.sid]
        same_number = self._by_to[oldest.to]
        same_number.remove(oldest.sid)
        if not same_number:
            del self._by_to[oldest.to]
        return True
