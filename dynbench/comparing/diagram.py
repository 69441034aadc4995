"""The critical-difference plot: mean ranks on a line, rows that do not differ joined by a bar."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dynbench.comparing.ranks import Comparison
from dynbench.reporting.plotting import pyplot, save

# Width of the line of ranks, in inches.
_AXIS = 4.0


def draw(comparison: Comparison, title: str, folder: Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Draw the ranks of a comparison.

    Args:
        comparison: What to draw.
        title: Above the plot.
        folder: Where to write ``ranks.png`` and so on.
        formats: Endings.

    Raises:
        ConfigError: If matplotlib is missing.
    """
    count = len(comparison.rows)
    half = (count + 1) // 2
    groups = comparison.groups()
    depth = 0.6 + 0.28 * len(groups)
    # Labels get the room that they need beside an axis of fixed width; sizes are in inches.
    sides = [max(map(len, names), default=0) for names in (comparison.rows[:half], comparison.rows[half:])]
    left_room, right_room = (0.6 + 0.075 * longest for longest in sides)
    width, height = left_room + _AXIS + right_room, 0.95 + 0.22 * (half + 1) + 0.13 * len(groups)
    figure = pyplot().figure(figsize=(width, height))
    axes = figure.add_axes((left_room / width, 0.02, _AXIS / width, 0.88))
    low, high = 1, max(count, 2)
    axes.set(xlim=(low, high), ylim=(depth + 0.5 * half, -1.5))
    axes.axis("off")
    line = partial(axes.plot, clip_on=False)
    line([low, high], [0, 0], "k", lw=1)
    for tick in range(low, high + 1):
        line([tick, tick], [-0.12, 0.12], "k", lw=1)
        axes.text(tick, -0.22, str(tick), ha="center", va="bottom", fontsize=9)
    if comparison.critical < high - low:
        line([low, low + comparison.critical], [-0.85, -0.85], "k", lw=2)
        axes.text(
            low + comparison.critical / 2, -0.92, f"CD {comparison.critical:.2f}", ha="center", va="bottom", fontsize=8
        )
    for place, (row, rank) in enumerate(zip(comparison.rows, comparison.ranks, strict=True)):
        left = place < half
        level = depth + 0.5 * (place if left else count - 1 - place)
        edge = low - 0.04 * (high - low) if left else high + 0.04 * (high - low)
        line([rank, rank, edge], [0, level, level], "k", lw=0.8)
        text = f"{row}  {rank:.2f}" if left else f"{rank:.2f}  {row}"
        axes.text(edge, level, f" {text} ", ha="right" if left else "left", va="center", fontsize=9)
    for number, (first, last) in enumerate(groups):
        level = 0.35 + 0.28 * number
        ends = [comparison.ranks[first] - 0.03, comparison.ranks[last] + 0.03]
        line(ends, [level, level], "C0", lw=3, solid_capstyle="round")
    figure.text(0.5, 0.985, title, ha="center", va="top", fontsize=9)
    folder.mkdir(parents=True, exist_ok=True)
    return save(figure, folder, "ranks", formats)
