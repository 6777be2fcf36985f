"""Two accuracies on the same number of images: which difference is noise? (lab 09)."""

import ipywidgets

from utils import plotting, transfer

from .controls import explore

COUNTS = (20, 50, 100, 153, 300, 600, 1000, 3000, 10_000)


def interval(accuracy: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval in %, of an accuracy in % observed on n images (to the nearest whole image)."""
    low, high = transfer.wilson(round(accuracy / 100 * n), n)
    return 100 * low, 100 * high


def p_value(first: float, second: float, n: int, differ: float) -> float | None:
    """McNemar's p, from the two accuracies in % and the share of images, in %, that only one network gets right.

    Returns:
        p, or None where the accuracies lie further apart than the share allows.
    """
    gap, uneven = round(abs(first - second) / 100 * n), round(differ / 100 * n)
    if gap > uneven:
        return None
    smaller = (uneven - gap) // 2
    return transfer.split_p(smaller, uneven - smaller)


def draw_intervals(n: int, first: float, second: float, differ: float):
    """The picture of `intervals`: (figure, alternative text)."""
    fig, (left, right) = plotting.subplots(1, 2, size=(10.5, 3.3))
    said = []
    for place, (name, value) in enumerate((("a", first), ("b", second))):
        low, high = interval(value, n)
        seen = 100 * round(value / 100 * n) / n
        left.errorbar(seen, place, xerr=[[max(0, seen - low)], [max(0, high - seen)]], fmt="o", capsize=5, color=plotting.PALETTE[place])
        left.annotate(f"{low:.1f} to {high:.1f}", (seen, place), (0, 9), textcoords="offset points", ha="center", fontsize=9)
        said.append(f"{name} {value:g} %, from {low:.1f} to {high:.1f}")
    left.set_yticks((0, 1), ("a", "b"))
    left.set(xlim=(40, 101), ylim=(1.6, -0.6), xlabel="accuracy, %", ylabel="network", title=f"95 % intervals on {n:,} images")
    values = {count: p_value(first, second, count, differ) for count in COUNTS}
    possible = {count: max(value, 1e-6) for count, value in values.items() if value is not None}
    right.axhspan(1e-6, 0.05, color="0.93")
    for text, place in (("p < 0.05", 0.68), (f"only one is right on {differ:g} %", 0.03)):
        right.annotate(text, (0.02, place), xycoords="axes fraction", fontsize=8, color="0.35")
    right.plot(list(possible), list(possible.values()), "o-", color=plotting.PALETTE[2], markersize=4)
    right.plot(*([n], [possible[n]]) if n in possible else ([], []), "o", color=plotting.PALETTE[3], markersize=9)
    p = values[n]
    verdict = "the gap is wider than they differ" if p is None else f"p = {p:.2g}: " + ("hardly noise" if p < 0.05 else "may be noise")
    right.set(xscale="log", yscale="log", ylim=(1e-6, 1.5), xlim=(15, 14_000), xlabel="images (log scale)",
              ylabel="p of McNemar's test", title=verdict)
    alt = f"{n} images; {'; '.join(said)}. Only one of them is right on {differ:g} % of the images: {verdict}."
    return fig, alt


def intervals() -> None:
    """The number of images, two accuracies, and how often only one of the networks is right, are yours. Lab 09."""

    def slider(value: float, low: float, high: float, name: str) -> ipywidgets.FloatSlider:
        return ipywidgets.FloatSlider(value, min=low, max=high, step=1.0, description=name, continuous_update=False)

    explore(
        draw_intervals,
        n=ipywidgets.SelectionSlider(options=COUNTS, value=153, description="images", continuous_update=False),
        first=slider(94.0, 50, 100, "a, %"),
        second=slider(92.0, 50, 100, "b, %"),
        differ=slider(8.0, 1, 40, "differ, %"),
    )
