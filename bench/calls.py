"""What a caller waits for and what a call costs, in one run on one machine: `make bench`.

Every time is taken from the caller's own SIP messages and RTP packets. The figures of one run may be compared with
each other; between machines, and between runs on a noisy one, compare ratios.

    python -m bench.calls [--calls 8] [--at-once 6] [--json FILE]
"""

import argparse
import asyncio
import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from app.console.demonstration.caller import SpokenCaller, Voice
from bench.stack import BenchStack, Cost, running_stack
from telephony.simulator.phone.sip_phone import NobodySpoke, place_sip_call

QUESTIONS = ("What are your opening hours?", "Where are you located?", "What are your opening hours?")


@dataclass
class Times:
    """Seconds, one entry a call (`reply`: one a question); `lost`: calls or questions that got no sound."""

    invite_to_answer: list[float] = field(default_factory=list[float])
    answer_to_audio: list[float] = field(default_factory=list[float])
    reply: list[float] = field(default_factory=list[float])
    lost: int = 0


async def talk(stack: BenchStack, voice: Voice, times: Times, number: int) -> None:
    """One call: hear the greeting, ask the questions, hang up."""
    demo = stack.demo
    caller_id = f"+120255501{number % 100:02d}"
    async with place_sip_call(demo["sip_host"], demo["sip_port"], demo["sip_number"], caller=caller_id) as call:
        caller = SpokenCaller(call, voice)
        try:
            greeting = await caller.hear_greeting(timeout_seconds=15)
            assert call.answered_at is not None
            assert call.invited_at is not None
            times.invite_to_answer.append(call.answered_at - call.invited_at)
            times.answer_to_audio.append(greeting.wait_seconds)
            for question in QUESTIONS:
                times.reply.append((await caller.ask(question)).wait_seconds)
        except (NobodySpoke, TimeoutError, ConnectionRefusedError):
            times.lost += 1


def per_call(before: Cost, after: Cost, idle: Cost, seconds: float, calls: int) -> dict[str, float]:
    return {
        "cores_per_call": (after.cpu_seconds - before.cpu_seconds) / seconds / calls,
        "memory_mb_per_call": (after.memory_bytes - idle.memory_bytes) / 1e6 / calls,
        "memory_mb_in_all": after.memory_bytes / 1e6,
    }


async def measure_cost(stack: BenchStack, voice: Voice, calls: int, idle: Cost) -> tuple[dict[str, float], Times]:
    """`calls` conversations at once; the worker's cost over the middle of them."""
    times = Times()
    loop = asyncio.get_running_loop()
    talks = [asyncio.create_task(talk(stack, voice, times, 10 + number)) for number in range(calls)]
    await asyncio.sleep(3)
    began, before = loop.time(), stack.cost("worker")
    await asyncio.wait(talks, timeout=10)
    after, ended = stack.cost("worker"), loop.time()
    await asyncio.gather(*talks)
    return per_call(before, after, idle, ended - began, calls), times


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie (nearest rank); not a number when there is none."""
    if not values:
        return float("nan")
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def describe(times: Times) -> dict[str, Any]:
    rows: dict[str, Any] = {"lost": times.lost}
    for name in ("invite_to_answer", "answer_to_audio", "reply"):
        values = getattr(times, name)
        median = statistics.median(values) if values else float("nan")
        rows[name] = {"n": len(values), "p50": median, "p95": quantile(values, 0.95)}
    return rows


def print_report(report: dict[str, Any]) -> None:
    table = Table(title="What the caller waits for (seconds, from the caller's RTP)")
    for column in ("", "calls at once", "n", "p50", "p95"):
        table.add_column(column, justify="left" if not column else "right")
    for label, rows in report["times"].items():
        for name in ("invite_to_answer", "answer_to_audio", "reply"):
            row = rows[name]
            table.add_row(name.replace("_", " "), label, str(row["n"]), f"{row['p50']:.2f}", f"{row['p95']:.2f}")
        table.add_row("lost", label, str(rows["lost"]), "", "")
    costs = Table(title="What the worker costs while they talk")
    for column in ("calls at once", "cores a call", "MB a call", "MB in all"):
        costs.add_column(column, justify="right")
    for label, row in report["cost"].items():
        costs.add_row(
            label,
            f"{row['cores_per_call']:.3f}",
            f"{row['memory_mb_per_call']:.0f}",
            f"{row['memory_mb_in_all']:.0f}",
        )
    console = Console()
    console.print(table, costs)
    console.print(f"a call's CPU at many against at one: {report['cpu_ratio']:.2f}×")


async def run(calls: int, at_once: int) -> dict[str, Any]:
    voice = Voice()
    with running_stack() as stack:
        await talk(stack, voice, Times(), 0)  # a first call, not counted: it warms what is loaded lazily
        one_by_one = Times()
        for number in range(calls):
            await talk(stack, voice, one_by_one, number)
        idle = stack.cost("worker")
        single, _ = await measure_cost(stack, voice, 1, idle)
        many, together = await measure_cost(stack, voice, at_once, idle)
    voice.close()
    return {
        "times": {"1": describe(one_by_one), str(at_once): describe(together)},
        "cost": {"1": single, str(at_once): many},
        "cpu_ratio": many["cores_per_call"] / single["cores_per_call"],
        "raw": {"1": asdict(one_by_one), str(at_once): asdict(together)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=8, help="calls one after the other")
    parser.add_argument("--at-once", type=int, default=6, help="calls at the same time, afterwards")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    report = asyncio.run(run(arguments.calls, arguments.at_once))
    print_report(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))
    if any(rows["lost"] for rows in report["times"].values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
