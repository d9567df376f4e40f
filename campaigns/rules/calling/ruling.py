"""What one question about a contact was answered with."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Ruling:
    """`reason`: for people, also where it passed. `source`: what the answer rests on. Not passed: `next_at` is when it
    may be asked again with hope, None: never."""

    passed: bool
    reason: str
    source: str | None = None
    next_at: datetime | None = None
