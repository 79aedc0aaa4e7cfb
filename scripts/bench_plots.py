"""The pictures of scripts/bench."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
        for key, label, colour, marker in (("seconds", "whole program", ORANGE, "D"), ("computing", "computing", BLUE, "o")):
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


def memory(results):
    """Measured peak memory of a rank against the planned, and predicted time against the measured."""
    rows = [row for row in measured(results) if row["memory"] and row["memory_planned"]]
    timed = [row for row in measured(results) if row["predicted"]]
    if not rows:
        return None
    figure, panels = new_figure(10 if timed else 6, 5, 2 if timed else 1)
    against(panels[0], [(row["memory_planned"] / MIB, row["memory"] / MIB, row["name"]) for row in rows], 1 / 1.3, 1,
            "memory of a rank as planned, MiB", "peak as measured, MiB", "promised: 1/1.3 of the plan to the plan")
    if timed:
        against(panels[1], [(row["predicted"], row["seconds"], row["name"]) for row in timed], 1 / 1.5, 1.5,
                "predicted seconds", "measured seconds", "promised: within a factor of 1.5")
    return figure


def against(axes, points, low, high, xlabel, ylabel, promise):
    """Points (x, y, name) with the line of equality and a promised band around it."""
    x, y, names = zip(*points)
    ends = np.array([min(*x, *y) / 1.5, max(*x, *y) * 1.5])
    axes.fill_between(ends, low * ends, high * ends, color=GREEN, alpha=0.18, linewidth=0, label=promise)
    axes.loglog(ends, ends, color=GREY, linewidth=1)
    axes.loglog(x, y, "o", color=BLUE, markersize=5)
    place_names(axes, x, y, names)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=ends, ylim=ends)
    axes.legend(frameon=False, loc="upper left", fontsize="small")


def place_names(axes, x, y, names):
    """Names right of their points; those of points at one place share a line."""
    groups = {}
    for px, py, name in zip(x, y, names):
        groups.setdefault((round(np.log(px) * 4), round(np.log(py) * 8)), []).append((px, py, name))
    for group in groups.values():
        px, py = np.mean([g[0] for g in group]), np.mean([g[1] for g in group])
        axes.annotate(", ".join(g[2] for g in group), (px, py), (6, -3), textcoords="offset points", fontsize=7)


def words(results):
    """Words a rank reads and sends against the number of ranks, with the bound."""
    rows = results.get("words")
    if not rows:
        return None
    figure, (axes,) = new_figure(6, 4)
    ranks = [row["ranks"] for row in rows]
    axes.loglog(ranks, [row["bound"] for row in rows], color=RED, label=r"bound $1.3\,nD/\sqrt{P} + N^2/2$")
    if all(row["model"] for row in rows):
        axes.loglog(ranks, [row["model"] for row in rows], "--", color=GREY, label="the plan's model")
    axes.loglog(ranks, [row["words"] for row in rows], "o", color=BLUE, label="read and sent")
    axes.set_xticks(ranks, ranks)
    axes.minorticks_off()
    axes.set(xlabel="ranks P", ylabel="words of a rank")
    axes.legend(frameon=False)
    return figure


def alternatives(results):
    """Seconds of the alternatives beside the program's."""
    bars = []
    for row in measured(results):
        timed = [other for other in row["alternatives"] if "seconds" in other]
        if timed:
            bars += [(f"{row['name']}: zoogram, whole program", row["seconds"], BLUE)]
            bars += [(other["what"], other["seconds"], ORANGE) for other in timed]
    if not bars:
        return None
    figure, (axes,) = new_figure(8, 0.8 + 0.3 * len(bars))
    names, values, colours = zip(*bars[::-1])
    drawn = axes.barh(range(len(bars)), values, color=colours, height=0.7)
    axes.bar_label(drawn, [f"{value:.3g} s" for value in values], padding=3, fontsize=8)
    axes.set_yticks(range(len(bars)), names, fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel("seconds, reading included")
    return figure


PICTURES = (
    ("Speed against sgemm", "speed.png", speed),
    ("Alternatives", "alternatives.png", alternatives),
    ("Time against size", "scaling.png", scaling),
    ("Plan against measurement", "plan.png", memory),
    ("Words against the bound", "words.png", words),
)


def write_all(results, folder):
    """Draw what there are figures for; [(title, file name)]."""
    written = []
    for title, name, draw in PICTURES:
        figure = draw(results)
        if figure:
            figure.savefig(folder / name, dpi=130)
            written.append((title, name))
    return written
