"""Figures as inline SVG that take their colours from the page, so that they read in light and in dark."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tacit.metrics.intervals import finite

# Drawn in these colours, then handed over to the page's own.
INK, RULE, FIRST, SECOND, THIRD = "#010203", "#020304", "#030405", "#040506", "#050607"
_PAGE = {INK: "currentColor", RULE: "var(--rule)", FIRST: "var(--sft)", SECOND: "var(--ppo)", THIRD: "var(--third)"}
COLOURS = {"sft": FIRST, "ppo": SECOND}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Bar:
    """One bar with its interval; ``shade`` is a colour of this file."""

    name: str
    value: float
    low: float | None
    high: float | None
    shade: str = THIRD


@dataclass(frozen=True)
class Line:
    name: str
    x: Sequence[float]
    y: Sequence[float]
    shade: str = SECOND


@dataclass(frozen=True)
class Panel:
    """One small plot: lines on the left axis, and at most one on its own right axis."""

    title: str
    lines: Sequence[Line]
    right: Line | None = None


def bars(panels: Mapping[str, Sequence[Bar]], salt: str) -> str:
    """Horizontal bars with 95 % intervals, one panel a title."""
    with _style(salt):
        longest = max(len(group) for group in panels.values())
        figure = _figure(7.6, 0.62 + 0.32 * longest)
        for axes, (title, group) in zip(_axes(figure, len(panels), 1), panels.items(), strict=True):
            places = np.arange(len(group))[::-1]
            axes.barh(places, [bar.value for bar in group], color=[bar.shade for bar in group], height=0.62)
            for place, bar in zip(places, group, strict=True):
                ends = finite(bar.low, bar.high)
                if ends:
                    axes.plot(ends, [place, place], color=INK, linewidth=1.2, solid_capstyle="butt")
                end = max(bar.value, ends[1]) if ends else bar.value
                axes.annotate(
                    f"{bar.value:.3g}", (end, place), (5, 0), textcoords="offset points", va="center", fontsize=9
                )
            axes.set_yticks(places, [bar.name for bar in group])
            axes.tick_params(length=0)
            axes.margins(x=0.18)
            axes.set_title(title)
        return _svg(figure)


def curves(panels: Sequence[Panel], salt: str, columns: int = 3, xlabel: str = "iteration") -> str:
    """Small multiples over training."""
    rows = -(-len(panels) // columns)
    with _style(salt):
        figure = _figure(7.6 if columns > 1 else 6.4, 2.1 * rows + 0.2 if columns > 1 else 3.0)
        grid, wide = _axes(figure, columns, rows), columns < 3
        for axes, panel in zip(grid, panels, strict=False):
            for line in panel.lines:
                axes.plot(line.x, line.y, color=line.shade, linewidth=1.6, label=line.name)
            axes.grid(axis="y", linewidth=0.6)
            axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
            handles = list(axes.get_lines())
            if panel.right is not None:
                handles += _right_axis(axes, panel)
            axes.set_title(panel.title, pad=20 if wide and len(handles) > 1 else None)
            if len(handles) > 1:
                _legend(axes, handles, wide)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[max(0, len(panels) - columns) : len(panels)]:
            axes.set_xlabel(xlabel, fontsize=9)
        return _svg(figure)


def _legend(axes: Axes, handles: Sequence[Line2D], wide: bool) -> None:
    """Where there is room, in a row under the title, where no line can run through it."""
    names = [str(handle.get_label()) for handle in handles]
    if not wide:
        axes.legend(handles, names, fontsize=8, loc="best")
        return
    above = axes.legend(handles, names, fontsize=8, ncols=len(names), loc="lower left", handlelength=1.2)
    above.set_bbox_to_anchor((0.0, 1.0), axes.transAxes)
    above.borderaxespad = 0.0


def scatter(
    groups: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]], colour_label: str, salt: str
) -> str:
    """Points [n, 2] coloured by a value [n], one panel a group, axes and colours shared."""
    values = np.concatenate([value for _, value in groups.values()])
    low, high = (float(v) for v in np.quantile(values, [0.02, 0.98]))
    with _style(salt):
        figure = _figure(7.6, 3.5)
        grid = _axes(figure, len(groups), 1, shared=True)
        for axes, (title, (points, value)) in zip(grid, groups.items(), strict=True):
            drawn = axes.scatter(
                points[:, 0], points[:, 1], c=value, s=9, linewidths=0, cmap="viridis", vmin=low, vmax=high, alpha=0.85
            )
            axes.set_title(title)
            axes.set_xticks([])
            axes.set_yticks([])
        bar = figure.colorbar(drawn, ax=grid, shrink=0.8, pad=0.02)
        bar.set_label(colour_label, fontsize=9)
        bar.outline.set_visible(False)
        return _svg(figure)


def _right_axis(axes: Axes, panel: Panel) -> list[Line2D]:
    assert panel.right is not None
    other = axes.twinx()
    line = other.plot(panel.right.x, panel.right.y, color=panel.right.shade, linewidth=1.6, label=panel.right.name)
    other.spines["right"].set_visible(True)
    other.spines["right"].set_color(RULE)
    other.tick_params(axis="y", colors=panel.right.shade)
    axes.tick_params(axis="y", colors=panel.lines[0].shade)
    return list(line)


def _style(salt: str) -> AbstractContextManager[None]:
    """``salt`` keeps the ids of two figures of one page apart, and the same in every run."""
    return matplotlib.rc_context(_STYLE | {"svg.hashsalt": salt})


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0.0)
    return figure


def _axes(figure: Figure, columns: int, rows: int, shared: bool = False) -> list[Axes]:
    grid = figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)
    for axes in grid.flat:
        axes.patch.set_alpha(0.0)
    return list(grid.flat)


def _svg(figure: Figure) -> str:
    """The <svg> element alone, scaling with the page, in the page's colours and font."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for drawn, page in _PAGE.items():
        text = text.replace(drawn, page)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(width|height)="[\d.]+pt"', "", text, count=2)
    return re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text).replace("<svg", '<svg role="img"', 1)
