"""Pictures of what was simulated, and one page that has them all within itself."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from softswitch.simulation.results import ESTIMATE_NOTE, ESTIMATE_TITLES, SHARES, TITLES, Json, estimates, shown

PLOTTED = ("service_level", "asa", "abandoned", "occupancy")
COLOURS = ("#1f6feb", "#d4572a")
DPI = 110

_PAGE = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #1c2128; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; margin: .6em 0; }
th, td { padding: .25em .9em .25em 0; text-align: right; border-bottom: 1px solid #d8dee4; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; } .note { color: #57606a; } .yes { font-weight: bold; }
</style></head><body>
<h1>$title</h1>
<p class="note">$note</p>
$body
</body></html>
""")


def plot(directory: Path, document: Json) -> list[Path]:
    """Writes a PNG for each KPI and index.html, and says which. Raises `OSError`."""
    directory.mkdir(parents=True, exist_ok=True)
    pictures = pictures_of(document)
    written = []
    for name, png in pictures.items():
        path = directory / f"{name}.png"
        path.write_bytes(png)
        written.append(path)
    page = directory / "index.html"
    page.write_text(html(document, pictures), encoding="utf-8")
    return [*written, page]


# ---- pictures


def pictures_of(document: Json) -> dict[str, bytes]:
    """PNG by name."""
    import matplotlib as mpl

    mpl.use("Agg")
    several = [document, *([document["compare"]] if "compare" in document else [])]
    found = {kpi: _kpi(kpi, several, document) for kpi in PLOTTED}
    if "staffing" in document:
        found["staffing"] = _staffing(document)
    return found


def _kpi(kpi: str, several: Sequence[Json], document: Json) -> bytes:
    """By time of day, a band for each configuration."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    scale = 100.0 if kpi in SHARES else 1.0
    for each, colour in zip(several, COLOURS, strict=False):
        points = [(at, row[kpi]) for at, row in enumerate(each["intervals"]) if row[kpi]["value"] is not None]
        hours = [at * each["interval_minutes"] / 60.0 for at, _ in points]
        values = [found["value"] * scale for _, found in points]
        axes.plot(hours, values, color=colour, marker=".", label=each["config"])
        if all(found["low"] is not None for _, found in points) and points:
            most = 100.0 if kpi in SHARES else math.inf
            low = [max(found["low"] * scale, 0.0) for _, found in points]
            high = [min(found["high"] * scale, most) for _, found in points]
            axes.fill_between(hours, low, high, color=colour, alpha=0.2, linewidth=0)
    if kpi == "service_level" and "staffing" in document:
        axes.axhline(document["staffing"]["target_share"] * 100.0, color="#57606a", linestyle=":")
    axes.set_title(TITLES[kpi] + (", %" if kpi in SHARES else ""), loc="left")
    _over_the_day(axes, len(several) > 1)
    return _png(figure)


def _staffing(document: Json) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    rows = document["staffing"]["intervals"]
    minutes = document["interval_minutes"]
    hours = [at * minutes / 60.0 for at in range(len(rows) + 1)]
    for name, label, colour in (("agents", "by simulation", COLOURS[0]), ("by_theory", "by theory", COLOURS[1])):
        agents = [row[name] for row in rows]
        axes.step(hours, [*agents, *agents[-1:]], where="post", color=colour, label=label)
    axes.set_title("agents", loc="left")
    _over_the_day(axes, legend=True)
    return _png(figure)


def _over_the_day(axes: Any, legend: bool) -> None:
    axes.set_xlim(0, 24)
    axes.set_xticks(range(0, 25, 2), [f"{hour:02d}:00" for hour in range(0, 25, 2)], fontsize=8)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if legend:
        axes.legend(loc="best", fontsize=8)


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


# ---- the page


def html(document: Json, pictures: Mapping[str, bytes]) -> str:
    """All of it, with the pictures in it."""
    note = (
        f"{document['runs']} runs of {document['days']:g} days, seed {document['seed']}; each figure with its "
        f"{document['confidence']:.0%} confidence interval over the runs"
    )
    parts = ["<h2>In all</h2>", _totals(document)]
    if "compare" in document:
        parts += ["<h2>Difference</h2>", _differences(document)]
    if estimates(document):
        parts += ["<h2>Expected wait</h2>", f'<p class="note">{escape(ESTIMATE_NOTE)}</p>', _estimates(document)]
    for name, png in pictures.items():
        data = base64.b64encode(png).decode("ascii")
        parts.append(
            f'<p><img alt="{escape(name.replace("_", " "))} by time of day" src="data:image/png;base64,{data}"></p>'
        )
    parts += ["<h2>By time of day</h2>", _by_interval(document)]
    if "staffing" in document:
        parts += ["<h2>Agents needed</h2>", _staff(document["staffing"])]
    return _PAGE.substitute(
        title=escape(f"Simulation of {document['config']}"), note=escape(note), body="\n".join(parts)
    )


def _totals(document: Json) -> str:
    rows = []
    several = [document, *([document["compare"]] if "compare" in document else [])]
    for each in several:
        rows.append([each["config"], *(shown(kpi, each["total"][kpi]) for kpi in TITLES)])
        if len(each["queues"]) > 1:
            rows += [
                [f"queue {queue}", *(shown(kpi, found[kpi]) if kpi in found else "" for kpi in TITLES)]
                for queue, found in each["queues"].items()
            ]
    return _table(["", *TITLES.values()], rows)


def _estimates(document: Json) -> str:
    several = [document, *([document["compare"]] if "compare" in document else [])]
    rows = [
        [
            f"{each['config']}: {name}" if len(several) > 1 else name,
            *(shown(kpi, found[kpi]) for kpi in ESTIMATE_TITLES),
        ]
        for each in several
        for name, found in estimates(each)
    ]
    return _table(["", *ESTIMATE_TITLES.values()], rows)


def _differences(document: Json) -> str:
    other = document["compare"]
    rows = [
        [
            TITLES[kpi],
            shown(kpi, document["total"][kpi]),
            shown(kpi, other["total"][kpi]),
            shown(kpi, found, "+"),
            "" if found["p"] is None else f"{found['p']:.3f}",
            "yes" if found["significant"] else "no",
        ]
        for kpi, found in other["difference"].items()
    ]
    return _table(["", document["config"], other["config"], "difference", "p", "significant"], rows)


def _by_interval(document: Json) -> str:
    rows = [
        [row["start"], *(shown(kpi, row[kpi]) for kpi in TITLES)]
        for row in document["intervals"]
        if row["offered"]["value"]
    ]
    return _table(["from", *TITLES.values()], rows)


def _staff(found: Json) -> str:
    rows = [
        [row["start"], str(row["agents"]), str(row["by_theory"]), shown("service_level", row["service_level"])]
        for row in found["intervals"]
    ]
    return _table(["from", "agents", "by theory", "service level"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "\n".join(["<table>", line(header, "th"), *(line(row, "td") for row in rows), "</table>"])
