"""The plots of the report page, as SVG text that stands in the page itself. Pure; slow enough for a thread.

matplotlib is loaded by the first plot, because every start of the api and the dialer would pay for it.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from campaigns.outcomes.page.facts import Facts, Outcome, Tally, to_major_units
from campaigns.outcomes.page.store import BUCKET_SECONDS, LAST_BUCKET, LAST_LATENCY_BUCKET, LATENCY_BUCKET_MS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK, BAR, FAINT, MARK = "#1f2933", "#2f6f8f", "#d5dde3", "#b4532a"
WIDE = (7.2, 3.0)
MOST_ZONES = 16
MOST_OUTCOMES = 16

Draw = Callable[["Axes"], None]


def plot_all(facts: Facts) -> dict[str, str]:
    """Name of the figure → SVG; a figure without anything to show is not there."""
    found = {
        "outcomes": plot_outcomes(facts.outcomes),
        "hours": plot_hours(facts.by_hour),
        "zones": plot_zones(facts.by_zone_hour),
        "talks": plot_talks(facts.talks),
        "costs": plot_costs(facts.outcomes),
        "latencies": plot_latencies(facts.latencies),
        "course": plot_course(facts),
    }
    return {name: svg for name, svg in found.items() if svg is not None}


def plot_outcomes(outcomes: Sequence[Outcome]) -> str | None:
    """Dials by what they came to."""
    shown = list(outcomes[:MOST_OUTCOMES])[::-1]
    if not shown:
        return None

    def draw(axes: "Axes") -> None:
        bars = axes.barh([_label(one) for one in shown], [one.dials for one in shown], color=BAR)
        axes.bar_label(bars, padding=3, fontsize=9, color=INK)
        _count_on(axes.xaxis)
        axes.set_xlabel("dials")
        axes.margins(x=0.12)

    return _plot(draw, (7.2, 1.0 + 0.3 * len(shown)))


def plot_hours(by_hour: Mapping[int, Tally]) -> str | None:
    """Answer rate by the hour of the day where it rang."""
    if not by_hour:
        return None
    hours = range(max(min(by_hour) - 2, 0), min(max(by_hour) + 3, 24))

    def draw(axes: "Axes") -> None:
        rates = [by_hour.get(hour, Tally()).rate * 100 for hour in hours]
        bars = axes.bar([f"{hour:02d}" for hour in hours], rates, color=BAR)
        axes.bar_label(bars, [f"{by_hour.get(hour, Tally()).dials}" for hour in hours], fontsize=8, color=INK)
        axes.set_ylim(0, 100)
        axes.set_ylabel("answered, %")
        axes.set_xlabel("hour of the day where the phone rang; above each bar: dials")

    return _plot(draw, WIDE)


def plot_zones(by_zone: Mapping[str, Mapping[int, Tally]]) -> str | None:
    """Answer rate by zone and hour, for the zones with most dials."""
    busiest = sorted(by_zone, key=lambda zone: -sum(tally.dials for tally in by_zone[zone].values()))[:MOST_ZONES]
    hours = sorted({hour for zone in busiest for hour in by_zone[zone]})
    if not hours:
        return None
    span = range(hours[0], hours[-1] + 1)
    none = float("nan")
    rates = [[by_zone[zone][hour].rate * 100 if hour in by_zone[zone] else none for hour in span] for zone in busiest]

    def draw(axes: "Axes") -> None:
        import matplotlib

        # Ten shades, drawn as shapes: a picture would be blurred in print.
        shades = matplotlib.colormaps["YlGnBu"].resampled(10)
        image = axes.pcolormesh(rates, cmap=shades, vmin=0, vmax=100, edgecolors="white", linewidth=0.5)
        axes.invert_yaxis()
        axes.set_yticks([n + 0.5 for n in range(len(busiest))], busiest)
        axes.set_xticks([n + 0.5 for n in range(len(span))], [f"{hour:02d}" for hour in span])
        axes.set_xlabel("hour of the day there; empty: no dial")
        bar = axes.figure.colorbar(image, ax=axes, pad=0.02)
        bar.set_label("answered, %")
        bar.outline.set_visible(False)  # type: ignore[operator]  # the stubs take it for a method

    return _plot(draw, (7.2, 1.2 + 0.32 * len(busiest)))


def plot_talks(talks: Mapping[int, int]) -> str | None:
    """How long the answered calls were."""

    def draw(axes: "Axes") -> None:
        axes.bar([b * BUCKET_SECONDS for b in talks], list(talks.values()), BUCKET_SECONDS, align="edge", color=BAR)
        axes.set_xlabel(f"seconds from answer to end (the last bar: {LAST_BUCKET * BUCKET_SECONDS} and more)")
        _count_on(axes.yaxis)
        axes.set_ylabel("calls")

    return _plot(draw, WIDE) if talks else None


def plot_costs(outcomes: Sequence[Outcome]) -> str | None:
    """What dials of each outcome cost, in the currency that cost most."""
    sums: dict[str, float] = {}
    for outcome in outcomes:
        for currency, minor in outcome.cost_minor.items():
            sums[currency] = sums.get(currency, 0.0) + minor
    if not sums:
        return None
    currency = max(sums, key=lambda name: sums[name])
    shown = [one for one in outcomes if one.cost_minor.get(currency)][:MOST_OUTCOMES][::-1]

    def draw(axes: "Axes") -> None:
        costs = [to_major_units(one.cost_minor[currency], currency) for one in shown]
        axes.barh([_label(one) for one in shown], costs, color=MARK)
        axes.set_xlabel(currency)

    return _plot(draw, (7.2, 1.0 + 0.3 * len(shown))) if shown else None


def plot_latencies(latencies: Mapping[int, int]) -> str | None:
    """How long people waited for an answer after their own words."""
    if not latencies:
        return None

    def draw(axes: "Axes") -> None:
        width = LATENCY_BUCKET_MS / 1000
        axes.bar([b * width for b in latencies], list(latencies.values()), width, align="edge", color=BAR)
        for share, style in ((0.5, "-"), (0.95, "--")):
            at = percentile(latencies, share) / 1000
            axes.axvline(at, color=MARK, linestyle=style, label=f"{share:.0%} within {at:.1f} s")
        axes.set_xlabel(f"seconds (the last bar: {LAST_LATENCY_BUCKET * width:.0f} and more)")
        _count_on(axes.yaxis)
        axes.set_ylabel("turns")
        axes.legend(frameon=False, fontsize=9)

    return _plot(draw, WIDE)


def plot_course(facts: Facts) -> str | None:
    """Dials and contacts done over time."""
    samples = facts.samples
    if len(samples) < 2:
        return None

    def draw(axes: "Axes") -> None:
        began = samples[0].at
        hours = [(sample.at - began).total_seconds() / 3600 for sample in samples]
        axes.plot(hours, [sample.dialed for sample in samples], color=BAR, label="dials")
        axes.plot(hours, [sample.finished for sample in samples], color=MARK, label="contacts done")
        axes.set_xlabel(f"hours since {began:%Y-%m-%d %H:%M} UTC")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=9)

    return _plot(draw, WIDE)


def percentile(buckets: Mapping[int, int], share: float) -> float:
    """The upper edge, in milliseconds, of the bucket below which so much of them lies."""
    total, seen = sum(buckets.values()), 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= share * total:
            return float((bucket + 1) * LATENCY_BUCKET_MS)
    return 0.0


def _label(outcome: Outcome) -> str:
    same = outcome.code == outcome.disposition
    return outcome.disposition if same else f"{outcome.disposition} ({outcome.code})"


def _plot(draw: Draw, size: tuple[float, float]) -> str:
    """An SVG element: text stays text, nothing is fetched, the same facts make the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    # What a campaign calls things is shown, never read as formulas.
    matplotlib.rcParams["text.parse_math"] = False
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["svg.hashsalt"] = "trunkline"
    matplotlib.rcParams["font.size"] = 9
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK)
    draw(axes)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _strip(text.getvalue())


def _count_on(axis: "Axis") -> None:
    """What is counted has no halves."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _strip(svg: str) -> str:
    """Only the element: the XML head and the document type have no place inside HTML."""
    return svg[svg.index("<svg") :].strip()
