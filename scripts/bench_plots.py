"""The pictures of scripts/bench."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench_report import PROMISES

# Okabe and Ito's colours, which all kinds of sight tell apart; markers differ as well.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "0.45"
MIB = 2.0**20


def new_figure(width, height, panels=1):
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def measured(results):
    return [row for row in results["cases"] if "error" not in row]


def speed(results):
    """Rates as parts of sgemm's, case by case, and the goals."""
    rows = [row for row in measured(results) if row["whole"] is not None][::-1]
    if not rows:
        return None
    figure, (axes,) = new_figure(7.5, 1.2 + 0.36 * len(rows))
    places = np.arange(len(rows))
    for key, label, colour, marker in (("computing", "computing", BLUE, "o"),
                                       ("inside", "with reading and packing", GREEN, "s"),
                                       ("whole", "whole program, with start-up", ORANGE, "D")):
        values = [np.nan if row[key] is None else row[key] for row in rows]
        axes.plot(values, places, marker, color=colour, label=label, markersize=6, alpha=0.9)
    draw_goals(axes, rows)
    axes.axvline(1, color=GREY, linewidth=1)
    axes.set_yticks(places, [row["name"] for row in rows])
    axes.set_xlim(0, None)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.set_xlabel("useful operations per second and core, as a part of sgemm's")
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2, frameon=False)
    return figure


def draw_goals(axes, rows):
    """A bar across at each case's goal for a rate."""
    colours = {"computing": BLUE, "inside": GREEN, "whole": ORANGE}
    label = "goal, in its colour"
    for place, row in enumerate(rows):
        for goal in row.get("goals", ()):
            if goal["figure"] in colours:
                axes.plot([goal["goal"]] * 2, [place - 0.38, place + 0.38], color=colours[goal["figure"]],
                          linewidth=2, label=label)
                label = None


def scaling(results):
    """Time against N and n, with fitted power laws and the growth of the operations."""
    series = results.get("scaling")
    if not series:
        return None
    figure, panels = new_figure(9, 4, len(series))
    for axes, one in zip(panels, series):
        size = np.array([point["size"] for point in one["points"]], float)
        for key, label, colour, marker in (("seconds", "whole program", ORANGE, "D"),
                                           ("computing", "computing", BLUE, "o")):
            values = np.array([point[key] for point in one["points"]])
            power, start = np.polyfit(np.log(size), np.log(values), 1)
            axes.loglog(size, values, marker, color=colour, label=f"{label}, fitted exponent {power:.2f}")
            axes.loglog(size, np.exp(start) * size**power, color=colour, linewidth=1)
        flop = np.array([point["flop"] for point in one["points"]])
        rate = np.array([point["sgemm"] for point in one["points"]]).mean() * results["machine"]["cores_used"]
        axes.loglog(size, flop / rate, "--", color=GREY,
                    label=f"$n^2(D+N^2/2)$ at sgemm's rate, {one['exponents']['flop']:.2f}")
        name = {"N": "layers N", "n": "samples n"}[one["size"]]
        axes.set(xlabel=f"{name}   ({one['what']})", ylabel="seconds")
        axes.set_xticks(size, [f"{s:,.0f}" for s in size], rotation=30)
        axes.minorticks_off()
        axes.legend(frameon=False, fontsize="small")
    return figure


def plan(results):
    """Peak memory of a rank in units of the planned, and time in units of the predicted, with what is promised."""
    rows = measured(results)[::-1]
    panels = []
    for figure, what, point in (("memory of plan", "peak memory / planned", memory_point),
                                ("measured of predicted", "time / predicted", time_point)):
        points = [point(row) for row in rows if row[figure]]
        if points:
            panels.append((what, PROMISES[figure], points))
    if not panels:
        return None
    figure, axes = new_figure(1 + 5.5 * len(panels), 1.2 + 0.3 * len(rows), len(panels))
    for each, (what, promise, points) in zip(axes, panels):
        draw_ratios(each, what, promise, points)
    return figure


def memory_point(row):
    note = f"{row['memory'] / MIB:.0f} of {row['memory_planned'] / MIB:.0f} MiB"
    return row["name"], row["memory of plan"], note


def time_point(row):
    note = f"{row['own_seconds']:.3g} of {row['predicted']:.3g} s"
    return row["name"], row["measured of predicted"], note


def draw_ratios(axes, what, promise, points):
    """Ratios (name, value, note), one a line, over the promised range."""
    names, values, notes = zip(*points)
    axes.axvspan(*promise, color=GREEN, alpha=0.18, linewidth=0)
    axes.axvline(1, color=GREY, linewidth=1)
    axes.plot(values, range(len(values)), "o", color=BLUE, markersize=6)
    for place, note in enumerate(notes):
        axes.annotate(note, (1, place), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                      va="center", fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, max(1.1 * max(values), 1.1 * promise[1]))
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xlabel(f"{what} (shaded: promised)")
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)


def words(results):
    """Words a rank reads and sends against the number of ranks, with the bound."""
    rows = results.get("words")
    if not rows:
        return None
    figure, (axes,) = new_figure(6, 4)
    ranks = [row["ranks"] for row in rows]
    millions = {key: [row[key] / 1e6 if row[key] else None for row in rows] for key in ("bound", "model", "words")}
    axes.semilogx(ranks, millions["bound"], color=RED, label=r"bound $1.3\,nD/\sqrt{P} + N^2/2$")
    if all(millions["model"]):
        axes.semilogx(ranks, millions["model"], "--", color=GREY, label="the plan's model")
    axes.semilogx(ranks, millions["words"], "o", color=BLUE, label="read and sent")
    axes.set_xticks(ranks, ranks)
    axes.minorticks_off()
    axes.set_ylim(0, None)
    axes.set(xlabel="ranks P", ylabel="million words of a rank")
    axes.legend(frameon=False)
    return figure


def alternatives(results):
    """Seconds of the alternatives beside the program's, one panel a case."""
    found = []
    for row in measured(results):
        timed = [other for other in row["alternatives"] if "seconds" in other]
        if timed:
            own = [("zoogram", row["inside_seconds"], row["seconds"], BLUE)]
            found.append((row["name"], own + [(o["what"], o["seconds"], o["process"], ORANGE) for o in timed]))
    if not found:
        return None
    heights = [len(bars) + 1.5 for _, bars in found]
    figure = Figure(figsize=(8.5, 0.33 * sum(heights) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(found), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (name, bars) in zip(panels, found):
        draw_bars(axes, name, bars[::-1])
    panels[-1].set_xlabel("seconds of reading and computing (full) and of the whole process (pale)")
    return figure


def draw_bars(axes, title, bars):
    """Bars (name, seconds, seconds of the whole process, colour), upwards."""
    for place, (_, part, whole, colour) in enumerate(bars):
        axes.barh(place, whole, color=colour, alpha=0.3, height=0.7)
        axes.barh(place, part, color=colour, height=0.7)
        axes.annotate(f"{part:.3g} / {whole:.3g} s", (whole, place), (3, 0), textcoords="offset points", va="center",
                      fontsize=8)
    axes.set_yticks(range(len(bars)), [bar[0] for bar in bars], fontsize=8)
    axes.set_title(title, loc="left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.15)


PICTURES = {"speed": speed, "alternatives": alternatives, "scaling": scaling, "plan": plan, "words": words}


def write_all(results, folder):
    """Draw what there are figures for, each as NAME.png; the names."""
    written = []
    for name, draw in PICTURES.items():
        figure = draw(results)
        if figure:
            figure.savefig(folder / f"{name}.png", dpi=130)
            written.append(name)
    return written
