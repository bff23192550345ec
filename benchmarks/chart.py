"""The chart of a run: `python benchmarks/chart.py` draws results.json again."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# In the order of the bars; PyTorch eager is the line that they start from. Of the two ways of torch.compile, the faster is shown.
COLOURS = {
    "micrograd_plus.compile": "#d1495b",
    "micrograd_plus": "#edae9f",
    "torch.compile": "#98c1d9",
    "jax.jit": "#66a182",
    "mygrad": "#b0b0b0",
    "autograd": "#d8d8d8",
}
LABELS = {
    "micrograd_plus": "MicroGrad+ eager",
    "micrograd_plus.compile": "MicroGrad+ compile",
    "mygrad": "MyGrad",
    "autograd": "HIPS autograd",
}


def speeds(figures: dict[str, Any]) -> dict[str, float]:
    """Speed relative to PyTorch's eager one, of each library that ran."""
    found: dict[str, float] = {}
    for library, row in figures["libraries"].items():
        name = library.removesuffix(" step")
        if row["relative_to_pytorch"]:
            found[name] = max(found.get(name, 0.0), 1 / row["relative_to_pytorch"])
    return found


def draw(document: dict[str, Any], path: Path) -> None:
    """Bars of speed relative to PyTorch eager, for each workload."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullLocator

    workloads = {name: speeds(figures) for name, figures in document["workloads"].items()}
    workloads = {name: found for name, found in workloads.items() if found}
    if not workloads:
        return
    shown = [library for library in COLOURS if any(library in found for found in workloads.values())]
    figure, axes = plt.subplots(figsize=(10, 4.2), dpi=150, layout="constrained")
    width = 0.84 / len(shown)
    for i, library in enumerate(shown):
        places = [(x, found[library]) for x, found in enumerate(workloads.values()) if library in found]
        xs = [x + (i - (len(shown) - 1) / 2) * width for x, _ in places]
        # A bar goes from 1 up or down, so that its direction says faster or slower.
        heights = [speed - 1 for _, speed in places]
        axes.bar(xs, heights, width * 0.92, bottom=1, color=COLOURS[library], label=LABELS.get(library, library), zorder=3)
        for x, (_, speed) in zip(xs, places, strict=True):
            up = speed >= 1
            settings: dict[str, Any] = {"ha": "center", "va": "bottom" if up else "top", "fontsize": 6.5}
            axes.annotate(
                f"{speed:.{0 if speed >= 10 else 1 if up else 2}f}",
                (x, speed),
                (0, 2 if up else -2),
                textcoords="offset points",
                **settings,
            )
    axes.axhline(1, color="#3d5a80", linewidth=1.5, label="PyTorch eager", zorder=4)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.35, high * 1.35)
    axes.yaxis.set_major_locator(plt.FixedLocator([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="#e6e6e6", zorder=0)
    axes.set_xticks(range(len(workloads)), list(workloads))
    axes.tick_params(axis="x", length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_ylabel("speed relative to PyTorch eager")
    machine, threads = document["machine"], document["settings"]["threads"]
    axes.set_title(f"A training step: forward, backward, Adam ({machine['processor']}, {threads} threads)", fontsize=10)
    figure.legend(loc="outside lower center", ncols=len(shown) + 1, frameon=False, fontsize=8)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    draw(json.loads((HERE / "results.json").read_text(encoding="utf-8")), HERE / "chart.png")
