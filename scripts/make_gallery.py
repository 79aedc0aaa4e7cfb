#!/usr/bin/env python3
"""One page with a picture of every tensor of a results file, and how to read it.

    make_gallery.py results.h5 --output gallery.html
    make_gallery.py results.h5 --output gallery.md --names cka 'wasserstein*'

An HTML page holds its pictures; those of a Markdown page lie in a folder beside it that
has the page's name.  The tensors come by the spaces of the catalogue (activations,
parameters, gradients ...), and by name within one.  Models or layers whose entries are
all undefined are left out of a picture, and counted below it, with the reasons.
"""

import argparse
import base64
import fnmatch
import html
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# The neighbouring module, also when this file is loaded by its path.
sys.path.append(str(Path(__file__).resolve().parent))

from plot_results import (
    PlotError,
    Tensor,
    heat_map,
    open_results,
    read_tensor,
    tensors_in,
    text,
)

SUFFIXES = (".html", ".md")
# Space of the catalogue, measures in it, and how each is read.
READING = {
    "Activations": {
        "cka": "1 where two layers see the same similarities between samples, up to "
        "rotation and scale of their features; values near or below 0 mean nothing in "
        "common. Blocks along the diagonal are layers that do alike; a bright second "
        "diagonal between two models says that their layers correspond by depth.",
        "hsic": "The covariance that CKA normalises: large where two layers share strong "
        "similarities between samples. It grows with the scale of the activations, so "
        "compare within a row rather than between rows.",
        "cosine": "0 where two layers give the same numbers feature by feature, 1 where "
        "they are orthogonal. It sees the order of the units: copies of one network are "
        "alike, networks from other seeds are not, even if CKA says that they are.",
        "mmd": "How far apart the two clouds of activations are as distributions; 0 where "
        "they cannot be told apart. Samples need not be paired. The unbiased estimate of "
        "0 may be a little negative.",
    },
    "Parameters": {
        "weight_frobenius": "The Euclidean distance of all parameters. Copies of one "
        "training run are close, other seeds are about the square root of two norms "
        "apart; the scale is that of the weights.",
        "fisher": "How differently two models predict, or how far apart their parameters "
        "are where distance is measured by the change of the predictions; 0 for models "
        "that cannot be told apart by their outputs.",
        "path_norm": "The difference of the logarithms of two models' capacities, so that "
        "1 is a factor of e. Training raises it: trained models stand apart from "
        "untrained ones.",
    },
    "Gradients": {
        "gradient_cosine": "1 where two tasks pull the parameters the same way, -1 where "
        "they pull against one another, 0 where they do not meet.",
        "gradient_conflict": "0 where two tasks' gradients add up, the more negative the "
        "more of them is lost when both are followed at once.",
        "sharpness": "How differently the loss rises around two models; a flat minimum "
        "stands apart from a sharp one.",
    },
    "Attention": {
        "attention_kl": "What is lost if the column's layer attends in place of the "
        "row's; 0 for the same attention. Not symmetric: read along rows. Infinite (as "
        "undefined here) where the column never looks at what the row does.",
        "head_importance": "Small where two models rely on the same heads of the same "
        "layers to the same degree.",
        "cross_attention": "1 where two models' tokens look at the same places of the "
        "image, on a grid that both have in common; near 0 where they look elsewhere.",
    },
    "Embeddings": {
        "wasserstein": "How far the one cloud of activations has to be carried to become "
        "the other, in units of the activations. Only layers of equal width have one.",
        "tsne_error": "How badly the column's map keeps the neighbours of the row's "
        "layer; the diagonal is each map's own error. A small value off the diagonal "
        "says that a map serves another layer as well.",
        "isotropy": "The difference of the logarithms of the layers' condition numbers: "
        "large between a layer that uses all its directions evenly and one that lives in "
        "a few of them.",
    },
    "Architectures and functions": {
        "ntk_distance": "How differently two models would learn from the same samples: "
        "the distance of their tangent kernels, 0 for the same.",
        "ntk_alignment": "1 where two models' tangent kernels agree up to scale: they "
        "would generalise alike from the same gradient steps.",
        "architecture": "1 where the graphs of two networks are the same; the less, the "
        "more operations or connections differ. Weights do not enter.",
        "boundary": "Small where two models are sure of the same samples by the same "
        "distance to the decision boundary.",
    },
}
OTHER = "Other"
GENERAL = {
    True: "A distance: 0 is the same, bright is alike.",
    False: "A similarity: bright is alike.",
}
STYLE = """body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
img { max-width: 100% } h2 { border-top: 1px solid #ccc; padding-top: 1em; margin-top: 2em }
code { background: #f3f3f3 } .note { color: #666 }"""


@dataclass(frozen=True)
class Entry:
    """One tensor's place on the page."""

    space: str
    tensor: Tensor
    options: str
    reading: str
    formula: str
    reference: str
    note: str  # about what is undefined or approximate; may be empty


def read_entries(path, patterns):
    """Entries of the file's tensors whose name matches, in the page's order."""
    with open_results(path) as file:
        names = [
            name
            for name in tensors_in(file)
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        ]
        if not names:
            known = ", ".join(tensors_in(file)) or "none"
            raise PlotError(
                f"{path}: no tensor matches {' '.join(patterns)}; there are: {known}"
            )
        entries = [_entry(path, file, name) for name in names]
    spaces = [*READING, OTHER]
    return sorted(entries, key=lambda entry: spaces.index(entry.space))


def _entry(path, file, name):
    tensor, attributes = read_tensor(path, name), file[name].attrs
    measure = text(attributes.get("measure", name))
    space = next((s for s, known in READING.items() if measure in known), OTHER)
    reading = READING.get(space, {}).get(measure, GENERAL[tensor.is_distance])
    return Entry(
        space=space,
        tensor=tensor,
        options=_options(measure, attributes),
        reading=reading,
        formula=text(attributes.get("formula", "")),
        reference=text(attributes.get("reference", "")),
        note=_note(file.get(f"status/{name}"), tensor),
    )


NO_OPTIONS = ("measure", "formula", "reference", "kind", "symmetric", "remark")


def _options(measure, attributes):
    """ "cka: kernel linear, estimator debiased" """
    shown = [
        f"{key} {text(value)}"
        for key, value in attributes.items()
        if key not in NO_OPTIONS and key.upper() != key and np.ndim(value) == 0
    ]
    return f"{measure}: {', '.join(shown)}" if shown else measure


def _note(status, tensor):
    """What the status codes say, with numbers of entries."""
    if status is None:
        return ""
    meanings = text(status.attrs.get("flag_meanings", "")).split()
    values, counts = np.unique(status[:], return_counts=True)
    parts = [
        f"{count} {meanings[value].replace('_', ' ') if value < len(meanings) else value}"
        for value, count in zip(values, counts)
        if value
    ]
    return f"{', '.join(parts)} (of {status.size} entries)" if parts else ""


def defined_part(tensor):
    """The tensor without the items that have no finite entry; None if none has."""
    finite = np.isfinite(tensor.values)
    keep = np.flatnonzero(finite.any(axis=0) | finite.any(axis=1))
    return tensor.select(keep) if keep.size else None


def picture(tensor, dpi):
    """The heat map as PNG, bytes."""
    buffer = io.BytesIO()
    figure = heat_map(tensor)
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")
    return buffer.getvalue()


class HtmlPage:
    """A page that holds its pictures."""

    def __init__(self, path):
        self._path = path
        self._parts = []

    def begin(self, title, introduction):
        title, introduction = html.escape(title), html.escape(introduction)
        self._parts.append(
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{title}</title>\n<style>{STYLE}</style></head><body>\n"
            f"<h1>{title}</h1>\n<p>{introduction}</p>"
        )

    def space(self, name):
        self._parts.append(f"<h2>{html.escape(name)}</h2>")

    def entry(self, entry, image, left_out):
        name = html.escape(entry.tensor.name)
        self._parts.append(f"<h3>{name}</h3>")
        self._parts.append(f"<p>{html.escape(entry.reading)}</p>")
        if image:
            data = base64.b64encode(image).decode()
            self._parts.append(f'<img alt="{name}" src="data:image/png;base64,{data}">')
        for note in notes(entry, left_out):
            self._parts.append(f'<p class="note">{html.escape(note)}</p>')

    def end(self):
        _write(self._path, "\n".join([*self._parts, "</body></html>\n"]).encode())


class MarkdownPage:
    """A page with a folder of pictures beside it."""

    def __init__(self, path):
        self._path = path
        self._folder = path.with_suffix("")
        self._parts = []

    def begin(self, title, introduction):
        self._parts += [f"# {title}", introduction]

    def space(self, name):
        self._parts.append(f"## {name}")

    def entry(self, entry, image, left_out):
        name = entry.tensor.name
        self._parts += [f"### {_escaped(name)}", entry.reading]
        if image:
            _write(self._folder / f"{name}.png", image)
            self._parts.append(f"![{name}]({self._folder.name}/{name}.png)")
        self._parts += [f"*{_escaped(note)}*" for note in notes(entry, left_out)]

    def end(self):
        _write(self._path, ("\n\n".join(self._parts) + "\n").encode())


def _escaped(words):
    """Text in which Markdown finds nothing of its own."""
    return re.sub(r"([\\`*_<>~|\[\]])", r"\\\1", words)


def notes(entry, left_out):
    """The small print below a picture, a list of lines."""
    definition = [part for part in (entry.formula, entry.reference) if part]
    lines = [f"{entry.options}; {'; '.join(definition)}".rstrip("; ")]
    if entry.note:
        lines.append(entry.note)
    if left_out:
        lines.append(f"{left_out} of {len(entry.tensor.items)} items have no value.")
    return lines


def _write(path, content):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise PlotError(f"{path}: cannot be written: {error}") from None


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", help="results file of zoogram")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help=f"the page; its kind by the suffix: {', '.join(SUFFIXES)}",
    )
    parser.add_argument(
        "--names",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="of the tensors shown (default: all)",
    )
    parser.add_argument("--title", default="Similarities of neural networks")
    parser.add_argument("--dpi", type=int, default=90, help="default: 90")
    return parser.parse_args(arguments)


def run(options):
    suffix = options.output.suffix.lower()
    if suffix not in SUFFIXES:
        raise PlotError(f"{options.output}: expected a suffix of {', '.join(SUFFIXES)}")
    entries = read_entries(options.results, options.names)
    page = {".html": HtmlPage, ".md": MarkdownPage}[suffix](options.output)
    page.begin(
        options.title,
        f"Every tensor of {Path(options.results).name}, {len(entries)} in all. Row and "
        "column of a picture are the two things compared; bright is alike in all of "
        "them; what is undefined is hatched grey.",
    )
    space = None
    for entry in entries:
        if entry.space != space:
            space = entry.space
            page.space(space)
        shown = defined_part(entry.tensor)
        count = len(shown.items) if shown else 0
        image = picture(shown, options.dpi) if shown else None
        page.entry(entry, image, len(entry.tensor.items) - count)
    page.end()
    print(f"{options.output}: {len(entries)} tensors")


def main(arguments=None):
    """Exit status 0, or 2 after a message on standard error."""
    options = parse_arguments(arguments)
    try:
        run(options)
    except PlotError as error:
        print(f"make_gallery.py: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
