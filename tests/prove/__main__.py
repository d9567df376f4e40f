"""`make prove`: every proof at full size with its control, one table. Exit status 1 where one is not proved.

ONLY=name,name chooses; PROVE_CONTACTS=1000 and the like set sizes; FIGURES=file keeps the figures as JSON.
"""

import asyncio
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.logs import configure_logs
from tests.prove.proof import Figures, Finding, Sizes, choose, examine, find_proofs


def main() -> int:
    configure_logs(json_lines=True, level="ERROR")
    # Whoever is told to stop takes down what was started for the proof.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(highlight=False)
    try:
        proofs = choose(find_proofs(), os.environ.get("ONLY", ""))
    except ValueError as error:
        console.print(str(error), markup=False)
        return 2
    size = Sizes({name: value for name, value in os.environ.items() if name.startswith("PROVE_")})
    findings: list[Finding] = []
    for proof in proofs:
        with console.status(f"{proof.name}: {proof.title}"):
            findings.append(asyncio.run(examine(proof, size, tell=partial(tell_figures, console, proof.name))))
        tell(console, findings[-1])
    console.print(build_table(findings))
    if where := os.environ.get("FIGURES"):
        Path(where).write_text(json.dumps([describe(one) for one in findings], indent=1) + "\n")
    return 0 if findings and all(one.proved for one in findings) else 1


def tell_figures(console: Console, name: str, seconds: float, figures: Figures | None) -> None:
    """Before its control begins: that may be long, too."""
    if figures:
        rows = "; ".join(f"{row}: {value}" for row, value in figures.rows.items())
        console.print(f"  {name}, {seconds:.0f} s, without a fault: {rows}", markup=False)


def tell(console: Console, finding: Finding) -> None:
    """As soon as it is known: a run may be long."""
    sign = "[green]✓[/]" if finding.proved else "[red]✗[/]"
    console.print(
        f"{sign} {finding.proof.name}: {verdict(finding)} ({finding.seconds + finding.control_seconds:.0f} s)"
    )
    if finding.crash:
        console.print(finding.crash, markup=False)


def verdict(finding: Finding) -> str:
    if finding.crash:
        return "broke off"
    if finding.figures and not finding.figures.held:
        return "does not hold"
    if finding.control and finding.control.held:
        return "its control was not caught"
    return "holds"


def build_table(findings: list[Finding]) -> Table:
    table = Table("", "proof", "figure", "measured", "with the planted fault", title="Proofs", show_lines=False)
    for finding in findings:
        rows, control = rows_of(finding)
        names = [*rows, *(name for name in control if name not in rows)]
        for number, name in enumerate(names):
            sign = ("[green]✓[/]" if finding.proved else "[red]✗[/]") if number == 0 else ""
            label = finding.proof.name if number == 0 else ""
            table.add_row(sign, label, name, rows.get(name, ""), control.get(name, ""))
        table.add_section()
    return table


def rows_of(finding: Finding) -> tuple[dict[str, str], dict[str, str]]:
    """The rows of the proof and of its control, with the verdict first and how long it took last."""
    held = {True: "holds", False: "does not hold", None: "broke off"}
    both: list[dict[str, str]] = []
    for figures, seconds in ((finding.figures, finding.seconds), (finding.control, finding.control_seconds)):
        rows = dict(figures.rows) if figures else {}
        both.append({"verdict": held[figures.held if figures else None], **rows, "took": f"{seconds:.1f} s"})
    return both[0], both[1]


def describe(finding: Finding) -> dict[str, object]:
    rows, control = rows_of(finding)
    return {
        "name": finding.proof.name,
        "title": finding.proof.title,
        "proved": finding.proved,
        "figures": rows,
        "control": control,
        "crash": finding.crash,
    }


if __name__ == "__main__":
    sys.exit(main())
