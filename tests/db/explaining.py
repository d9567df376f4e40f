"""What Postgres plans for a statement of ours."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.db import Connection


@dataclass
class Explaining:
    """A connection that explains what it is asked instead of doing it. `answer`: what whoever asks gets."""

    connection: Connection
    answer: Any = ()
    plans: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def fetch(self, query: str, *arguments: object, timeout: float | None = None) -> Any:
        explained = await self.connection.fetchval(f"explain (format json) {query}", *arguments)
        self.plans.append(explained[0]["Plan"])
        return self.answer

    fetchrow = fetch
    fetchval = fetch
    execute = fetch

    def scans(self, table: str) -> list[str]:
        """How each part of the plans that reads the table does it: "Index Scan contacts_due"."""
        found = [node for node in self.nodes() if node.get("Relation Name") == table and "Scan" in node["Node Type"]]
        return [" ".join(filter(None, (node["Node Type"], node.get("Index Name")))) for node in found]

    def nodes(self) -> list[dict[str, Any]]:
        return [node for plan in self.plans for node in walk(plan)]


def walk(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from walk(part)
