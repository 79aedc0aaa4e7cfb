#!/usr/bin/env python3
"""Plot a results tensor of zoogram as a heat map, or two models layer against layer.

    plot_results.py results.h5 cka --output cka.png
    plot_results.py results.h5 cka --models 'res*' --layers 'layer?' --output part.svg
    plot_results.py results.h5 cka --curve resnet18 vit_b_16 --output curve.png

The heat map is labelled by model and, where there is room, by layer; lines part the
models.  Undefined entries (NaN) are hatched grey.  Bright is alike, whether the measure
is a similarity or a distance.

--curve draws, for each layer of the first model, its value against the corresponding
layer of the second (the layer of the same name, or the one at the same relative depth
where the models' layers have different names) and against its most similar layer, which
is named, and beside it the part of the tensor that both are taken from.
"""

import argparse
import fnmatch
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from matplotlib import colors
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

SUFFIXES = (".png", ".svg", ".pdf")
POINT = 1 / 72  # inch
CELL = 11 * POINT  # wanted size of a heat map's cell, inches
SMALLEST_MAP, LARGEST_MAP = 4.0, 13.0  # inches, of the heat map without its labels
LARGEST_TEXT, SMALLEST_TEXT = 9.0, 4.5  # points; below, labels are thinned out
LINE = 1.2  # height of a line of text in sizes of the font
UNDEFINED = dict(facecolor="0.85", edgecolor="0.55", hatch="////", linewidth=0)


class PlotError(ValueError):
    """A request that cannot be met; the message names the file or option."""


@dataclass(frozen=True)
class Tensor:
    """A results tensor."""

    name: str
    values: np.ndarray  # [items, items], NaN where undefined; row a, column b
    items: list  # names on both axes
    is_grouped: bool  # names are "<model>/<rest>"
    is_distance: bool
    label: str  # for the colour bar

    def select(self, keep):
        """The part whose item numbers are in `keep`, in that order."""
        keep = np.asarray(keep, dtype=int)
        items = [self.items[i] for i in keep]
        values = self.values[np.ix_(keep, keep)]
        return replace(self, values=values, items=items)

    def model(self, index):
        return self.items[index].partition("/")[0]

    def rest(self, index):
        """The name without the model's; the whole name where items are models."""
        model, _, rest = self.items[index].partition("/")
        return rest or model

    def models(self):
        """[(model, first item, one past its last item)] in order of the axis."""
        starts = [
            i
            for i in range(len(self.items))
            if i == 0 or not self.is_grouped or self.model(i) != self.model(i - 1)
        ]
        ends = starts[1:] + [len(self.items)]
        return [(self.model(first), first, end) for first, end in zip(starts, ends)]


# --- reading --------------------------------------------------------------------------


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def open_results(path):
    """The results file, an h5py.File to be closed."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise PlotError(f"{path}: cannot be read: {error}") from None
    if text(file.attrs.get("format", "")) != "zoogram-results":
        file.close()
        raise PlotError(f"{path}: is not a zoogram results file")
    return file


def tensors_in(file):
    """{name: dataset} of all tensors."""
    return {
        key: entry
        for key, entry in file.items()
        if isinstance(entry, h5py.Dataset) and entry.ndim == 2
    }


def read_tensor(path, name=None):
    """Read the named tensor, or the only one of the file."""
    with open_results(path) as file:
        tensors = tensors_in(file)
        if name is None and len(tensors) == 1:
            name = next(iter(tensors))
        if name not in tensors:
            wanted = "which tensor?" if name is None else f"no tensor {name};"
            raise PlotError(
                f"{path}: {wanted} there are: {', '.join(tensors) or 'none'}"
            )
        return _tensor(path, name, tensors[name])


def _tensor(path, name, dataset):
    dimension = dataset.dims[0]
    if not len(dimension):
        raise PlotError(f"{path}: {name} has no dimension scale")
    scale = dimension[0]
    axis = scale.name.rpartition("/")[2].removesuffix("_a")
    measure = text(dataset.attrs.get("measure", name))
    options = (
        text(dataset.attrs[key])
        for key in ("kernel", "estimator")
        if key in dataset.attrs
    )
    return Tensor(
        name=name,
        values=dataset[:].astype(float),
        items=[text(item) for item in scale[:]],
        is_grouped=axis != "model",
        is_distance=text(dataset.attrs.get("kind", "similarity")) == "distance",
        label=", ".join([measure, *options]),
    )


def select(tensor, models, layers):
    """The items whose model and remaining name match a pattern each."""

    def matches(value, patterns):
        return any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)

    keep = [
        i
        for i in range(len(tensor.items))
        if matches(tensor.model(i), models)
        and (not tensor.is_grouped or matches(tensor.rest(i), layers))
    ]
    if not keep:
        raise PlotError(
            f"no item of {tensor.name} matches --models {' '.join(models)} "
            f"--layers {' '.join(layers)}"
        )
    return tensor.select(keep)


# --- colours --------------------------------------------------------------------------


def colouring(tensor, limits=None, is_log=False):
    """Colour map and scale (matplotlib norm) for a tensor.

    Sequential from 0, to 1 for similarities that are normalised (debiased ones may
    leave [0, 1] a little); diverging around 0 where negative values carry weight.
    """
    finite = tensor.values[np.isfinite(tensor.values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    sequential = "viridis_r" if tensor.is_distance else "viridis"
    if is_log:
        positive = finite[finite > 0]
        if not positive.size:
            raise PlotError(f"--log: {tensor.name} has no positive value")
        low, high = limits or (positive.min(), positive.max())
        if low <= 0:
            raise PlotError("--range: with --log both ends must be positive")
        return sequential, colors.LogNorm(low, high, clip=True)
    if limits:
        return sequential, colors.Normalize(*limits)
    if low < -0.25 * high:
        reach = max(-low, high)
        return "RdBu_r", colors.Normalize(-reach, reach)
    is_normalised = not tensor.is_distance and 0.5 < high < 1.2
    return sequential, colors.Normalize(
        min(low, 0.0), 1.0 if is_normalised else high or 1.0
    )


def draw_map(axes, values, colour_map, norm):
    """Draw values [rows, columns] with the first row on top; NaN shows the hatch."""
    axes.patch.set(**UNDEFINED)
    return axes.imshow(
        np.ma.masked_invalid(values),
        cmap=colour_map,
        norm=norm,
        interpolation="nearest",
        aspect="auto",
    )


# --- heat map -------------------------------------------------------------------------


def font_size(room):
    """Points of a line of text that has `room` inches, within what is readable."""
    return float(np.clip(room / POINT / LINE, SMALLEST_TEXT, LARGEST_TEXT))


def thinned(positions, room):
    """Indices of sorted positions (inches) that leave `room` inches between them."""
    chosen = []
    for index, position in enumerate(positions):
        if not chosen or position - positions[chosen[-1]] >= room:
            chosen.append(index)
    return chosen


class LabelledMap:
    """A square heat map on a figure of its own, labelled from the inside outwards.

    Everything around the map is placed by what has been drawn before, and the figure is
    cropped to its contents when it is saved.
    """

    def __init__(self, tensor):
        count = len(tensor.items)
        self.side = float(np.clip(count * CELL, SMALLEST_MAP, LARGEST_MAP))  # inches
        self.cell = self.side / count  # inches
        self.tensor = tensor
        self.figure = Figure(figsize=(self.side, self.side))
        self._canvas = FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes([0, 0, 1, 1])

    def margins(self):
        """Inches that the labels take to the left of and below the map."""
        box = self.axes.get_tightbbox(self._canvas.get_renderer())
        return -box.x0 / self.figure.dpi, -box.y0 / self.figure.dpi

    def label_items(self):
        """Tick labels: layers, or models where those are the items.  Layers get none
        if there is no room for all."""
        positions = np.arange(len(self.tensor.items))
        needed = SMALLEST_TEXT * LINE * POINT
        shown = thinned(positions * self.cell, needed * 0.999)
        if self.tensor.is_grouped and len(shown) < len(positions):
            shown = []
        names = [self.tensor.rest(i) for i in shown]
        size = font_size(self.cell)
        self.axes.set_xticks(shown, names, rotation=90, fontsize=size)
        self.axes.set_yticks(shown, names, fontsize=size)
        self.axes.tick_params(length=2, width=0.5, pad=2)

    def label_models(self):
        """Part the models by lines, and name them outside the layers' labels."""
        blocks = self.tensor.models()
        left, below = self.margins()
        for _, first, _ in blocks[1:]:
            edge = first - 0.5
            self.axes.axhline(edge, color="white", linewidth=0.9)
            self.axes.axvline(edge, color="white", linewidth=0.9)
            self._margin_lines(edge, left, below)
        middles = [(first + end - 1) / 2 * self.cell for _, first, end in blocks]
        smallest = min(end - first for _, first, end in blocks) * self.cell
        size = font_size(smallest)
        for block in thinned(middles, size * LINE * POINT * 0.999):
            self._name_model(blocks[block], size, left, below, smallest)

    def _margin_lines(self, edge, left, below):
        """Continue a line between two models beside the layers' labels."""
        style = dict(color="0.6", linewidth=0.5, clip_on=False)
        rows, columns = self.axes.get_yaxis_transform(), self.axes.get_xaxis_transform()
        self.axes.plot([-left / self.side, 0], [edge, edge], transform=rows, **style)
        self.axes.plot(
            [edge, edge], [-below / self.side, 0], transform=columns, **style
        )

    def _name_model(self, block, size, left, below, room):
        name, first, end = block
        middle = (first + end - 1) / 2
        longest = max(len(model) for model, _, _ in self.tensor.models())
        is_flat = longest * 0.65 * size * POINT < room
        style = dict(textcoords="offset points", fontsize=size, annotation_clip=False)
        self.axes.annotate(
            name,
            (0, middle),
            (-left / POINT - 4, 0),
            ha="right",
            va="center",
            xycoords=self.axes.get_yaxis_transform(),
            **style,
        )
        self.axes.annotate(
            name,
            (middle, 0),
            (0, -below / POINT - 4),
            ha="center",
            va="top",
            xycoords=self.axes.get_xaxis_transform(),
            rotation=0 if is_flat else 90,
            **style,
        )

    def add_colour_bar(self, image):
        """A bar to the right of the map, as high as the map."""
        place = [1 + 0.12 / self.side, 0, 0.16 / self.side, 1]
        bar = self.figure.colorbar(image, cax=self.figure.add_axes(place))
        bar.set_label(self.tensor.label)
        bar.outline.set_visible(False)


def heat_map(tensor, title=None, limits=None, is_log=False):
    """A Figure with the whole tensor."""
    plot = LabelledMap(tensor)
    image = draw_map(plot.axes, tensor.values, *colouring(tensor, limits, is_log))
    plot.label_items()
    if tensor.is_grouped:
        plot.label_models()
    plot.add_colour_bar(image)
    if title:
        plot.axes.set_title(title)
    if not np.all(np.isfinite(tensor.values)):
        mark_undefined(plot.axes)
    for spine in plot.axes.spines.values():
        spine.set_visible(False)
    return plot.figure


def mark_undefined(axes):
    """Explain the hatch above the upper right corner."""
    axes.legend(
        handles=[Patch(label="undefined", **UNDEFINED)],
        loc="lower right",
        bbox_to_anchor=(1, 1),
        frameon=False,
        fontsize=8,
        borderpad=0.2,
    )


# --- layer against layer --------------------------------------------------------------


def corresponding(first, second):
    """For each layer of `first` the index of its counterpart in `second` (lists of
    names): the same name if all are there, else the same relative depth."""
    if set(first) <= set(second):
        return np.array([second.index(name) for name in first])
    depth = np.linspace(0, len(second) - 1, len(first))
    return np.rint(depth).astype(int)


def most_similar(block, is_distance):
    """Column of the best value of each row; -1 where a whole row is undefined."""
    worst = np.inf if is_distance else -np.inf
    filled = np.where(np.isfinite(block), block, worst)
    best = filled.argmin(axis=1) if is_distance else filled.argmax(axis=1)
    return np.where(np.isfinite(block).any(axis=1), best, -1)


def model_items(tensor, model):
    """Item numbers of a model."""
    if not tensor.is_grouped:
        raise PlotError(f"--curve: the items of {tensor.name} are models, not layers")
    items = [i for i in range(len(tensor.items)) if tensor.model(i) == model]
    if not items:
        known = list(dict.fromkeys(name for name, _, _ in tensor.models()))
        more = " ..." if len(known) > 20 else ""
        raise PlotError(
            f"--curve: no model {model}; there are: " f"{', '.join(known[:20])}{more}"
        )
    return items


def curve(tensor, first, second, title=None, limits=None, is_log=False):
    """A Figure that holds two models' layers against one another."""
    rows, columns = model_items(tensor, first), model_items(tensor, second)
    names = [[tensor.rest(i) for i in items] for items in (rows, columns)]
    block = tensor.values[np.ix_(rows, columns)]
    partner, best = corresponding(*names), most_similar(block, tensor.is_distance)

    width = float(np.clip(0.42 * len(rows), 4.5, 12))
    height = float(np.clip(0.3 * len(rows), 3.8, 12))
    map_width = float(np.clip(0.3 * len(columns), 3.5, 12))
    figure = Figure(figsize=(width + map_width + 1.5, height + 1), layout="constrained")
    lines, cells = figure.subplots(1, 2, width_ratios=[width, map_width])
    draw_curve(lines, block, partner, best, names, second)
    lines.set(xlabel=f"layer of {first}", ylabel=tensor.label)
    lines.set_yscale("log" if is_log else "linear")
    if limits:
        lines.set_ylim(limits)

    image = draw_map(cells, block, *colouring(tensor, limits, is_log))
    size = font_size(min(height / len(rows), map_width / len(columns)))
    cells.set_xticks(range(len(columns)), names[1], rotation=90, fontsize=size)
    cells.set_yticks(range(len(rows)), names[0], fontsize=size)
    cells.set(xlabel=f"layer of {second}", ylabel=f"layer of {first}")
    known = best >= 0
    cells.plot(best[known], np.flatnonzero(known), "o", color="C3", markeredgecolor="w")
    figure.colorbar(image, ax=cells).outline.set_visible(False)
    if not np.all(np.isfinite(block)):
        mark_undefined(cells)
    figure.suptitle(title or f"{first} against {second}")
    return figure


def draw_curve(axes, block, partner, best, names, second):
    """The two lines over the layers of the first model; names: of both models."""
    layers = np.arange(len(block))
    highest = np.where(best >= 0, block[layers, best], np.nan)
    axes.plot(
        layers,
        block[layers, partner],
        "s-",
        color="C0",
        markersize=4,
        label=f"corresponding layer of {second}",
    )
    axes.plot(
        layers,
        highest,
        "o--",
        color="C3",
        markersize=5,
        label=f"most similar layer of {second} (named)",
    )
    for layer in np.flatnonzero(best >= 0):
        axes.annotate(
            names[1][best[layer]],
            (layer, highest[layer]),
            (0, 6),
            textcoords="offset points",
            rotation=60,
            fontsize=7,
            color="C3",
        )
    axes.set_xticks(layers, names[0], rotation=90)
    axes.grid(alpha=0.3)
    axes.margins(x=0.08, y=0.2)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 1.17), frameon=False, fontsize=8
    )


# --- command line ---------------------------------------------------------------------


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", help="results file of zoogram")
    parser.add_argument(
        "name", nargs="?", help="name of the tensor (default: the only one)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help=f"picture; its kind by the suffix: {', '.join(SUFFIXES)}",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="shell patterns (default: all)",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="shell patterns (default: all)",
    )
    parser.add_argument(
        "--curve",
        nargs=2,
        metavar=("MODEL_A", "MODEL_B"),
        help="layer against layer instead of the heat map",
    )
    parser.add_argument("--title")
    parser.add_argument(
        "--range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="ends of the colour scale",
    )
    parser.add_argument("--log", action="store_true", help="logarithmic scale")
    parser.add_argument("--dpi", type=int, default=150, help="of a PNG (default: 150)")
    return parser.parse_args(arguments)


def run(options):
    if options.output.suffix.lower() not in SUFFIXES:
        raise PlotError(f"{options.output}: expected a suffix of {', '.join(SUFFIXES)}")
    if options.range and not options.range[0] < options.range[1]:
        raise PlotError(
            f"--range {options.range[0]:g} {options.range[1]:g}: " "expected LOW < HIGH"
        )
    tensor = read_tensor(options.results, options.name)
    tensor = select(tensor, options.models, options.layers)
    scale = dict(title=options.title, limits=options.range, is_log=options.log)
    if options.curve:
        figure = curve(tensor, *options.curve, **scale)
    else:
        figure = heat_map(tensor, **scale)
    try:
        figure.savefig(options.output, dpi=options.dpi, bbox_inches="tight")
    except OSError as error:
        raise PlotError(f"{options.output}: cannot be written: {error}") from None
    print(f"{options.output}: {tensor.name}, {len(tensor.items)} items")


def main(arguments=None):
    """Exit status 0, or 2 after a message on standard error."""
    options = parse_arguments(arguments)
    try:
        run(options)
    except PlotError as error:
        print(f"plot_results.py: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
