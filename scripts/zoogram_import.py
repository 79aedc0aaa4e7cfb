#!/usr/bin/env python3
"""Put arrays and graphs that exist already into a zoo file that zoogram reads.

    zoogram_import.py --model resnet --output zoo.h5 \\
        --put activations=layers.npz --put logits=logits.npy --labels labels.npy \\
        --put weights=model.safetensors --put graph=model.onnx

    zoogram_import.py --model run7 --output zoo.h5 --append \\
        --link 'activations=old.h5:/run7/features' \\
        --link 'activations/head=parts/part*.h5:/head' \\
        --link 'activations/block3=stacked.h5:/blocks[3]'

--put WHERE=FILE copies.  WHERE is a path below the model, as `zoogram help formats` has
it: activations/conv1, logits, attention/block1 ...; a group's name alone (activations,
weights, gradients, attention, cross_attention, head_importance, maps) takes every array
of the file by its name.  FILE is .npy, .npz or .safetensors, and FILE:NAME one of its
arrays; for `graph` it is GraphML (a node's `op`, `type` or `label` says what it does) or
ONNX (needs the package onnx).

--link WHERE=FILE:/ENTRY leaves the numbers where they are, in another HDF5 file.  ENTRY
is a dataset, or a group of which each dataset is an entry of WHERE; [INDEX] takes a part
of its leading axes; several files that match FILE are joined along the samples.  The zoo
keeps the files' paths relative to its own folder.

The first axis of activations, logits, maps and margin_gradients is the samples, whose
order must be that of the zoo's other models.  Of weights the running statistics of
batch norms are left out; one of a single axis that ends in `weight` is a norm's, one
whose name has `embed` an embedding, unless --kind says otherwise.
"""

import argparse
import fnmatch
import json
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np

# The neighbouring modules, also when this file is loaded by its path.
sys.path.append(str(Path(__file__).resolve().parent))

from zoogram_files import read_arrays
from zoogram_graphs import read_graphml, read_onnx, write_graph
from zoogram_links import Link, make_link, parse_links
from zoogram_zoo import ExtractError, ZooWriter, entry_name

# What there is below a model: numbers of axes that it may have.
AXES = {
    "activations": range(1, 33),
    "weights": range(0, 33),
    "gradients": (1,),
    "sample_gradients": (2,),
    "jacobian": (3,),
    "logits": (2,),
    "sharpness": (2,),
    "margin_gradients": (2,),
    "attention": (4,),
    "head_importance": (1,),
    "cross_attention": (4,),
    "maps": (2,),
    "ntk": (2, 3, 4),
}
GROUPS = ("activations", "weights", "gradients", "attention", "cross_attention")
GROUPS += ("head_importance", "maps")
PAIRED = ("activations", "logits", "maps", "margin_gradients")
BUFFERS = ("*running_mean", "*running_var", "*num_batches_tracked", "*position_ids")
KINDS = ("linear", "conv", "norm", "embedding", "bias", "other")
GRAPHS = {".graphml": read_graphml, ".xml": read_graphml, ".onnx": read_onnx}


def import_model(
    zoo, name, arrays, *, graph=None, samples=None, kinds=None, attributes=None
):
    """Add a model to a zoo.

    zoo      a ZooWriter, or a path, which is made or appended to.
    arrays   {path below the model: array, or zoogram_links.Link}, in the zoo's order.
    graph    zoogram_graphs.Graph.
    samples  {"id": [n], "label": [n]}, either or both.
    kinds    {shell pattern: kind} of weights.
    attributes  {path: {name: value}}; path "" is the model itself.

    Raises ExtractError; the zoo is then as before.
    """
    if not arrays and graph is None:
        raise ExtractError(f"model {name}: nothing to import")
    attributes = attributes or {}
    is_open = isinstance(zoo, ZooWriter)
    with nullcontext(zoo) if is_open else ZooWriter(zoo, append=True) as writer:
        with writer.new_model(name, attributes.get("", {})) as target:
            counts = {}
            for path, values in arrays.items():
                _place(target, path, values, kinds or {})
                if path.partition("/")[0] in PAIRED:
                    counts[path] = len(target.dataset(path))
            if graph is not None:
                write_graph(target, graph)
            for path, more in attributes.items():
                if path:
                    target.set_attributes(path, more)
            _count(target, counts, samples or {})


def _place(target, path, values, kinds):
    """Copy or link one array."""
    if isinstance(values, Link):
        make_link(*target.parent(path), values)
        _check(target, path, target.dataset(path))
    else:
        values = np.asarray(values)
        _check(target, path, values)
        target.write(path, values, _kind(path, values.ndim, kinds))


def _check(target, path, values):
    """Whether an array or dataset may stand at the path."""
    what = f"model {target.name}: {path}"
    axes = AXES.get(path.partition("/")[0])
    if axes is None:
        raise ExtractError(f"{what}: expected one of {', '.join(AXES)}")
    if values.ndim not in axes:
        raise ExtractError(f"{what}: has shape {list(values.shape)}")
    dtype = values.dtype
    is_index = path.startswith("ntk/") and path.endswith("/index")
    if dtype.kind != "f" and not (is_index and dtype.kind in "iu"):
        raise ExtractError(f"{what}: numbers of type {dtype} are not read")


def _kind(path, axes, kinds):
    """{"kind": ...} where the zoo's default for so many axes may be wrong."""
    group, _, name = path.partition("/")
    if group != "weights":
        return None
    for pattern, kind in kinds.items():
        if fnmatch.fnmatchcase(name, pattern):
            return {"kind": kind}
    if axes == 1 and name.endswith("weight"):
        return {"kind": "norm"}
    if axes == 2 and "embed" in name.lower():
        return {"kind": "embedding"}
    return None


def _count(target, counts, samples):
    """The number of samples, which must be one; ids and labels go with it."""
    counts = {**counts, **{key: len(values) for key, values in samples.items()}}
    first = next(iter(counts), None)
    for path, count in counts.items():
        if count != counts[first]:
            raise ExtractError(
                f"model {target.name}: {path} has {count} samples, but {first} "
                f"{counts[first]}"
            )
    if first is not None:
        target.append({}, samples, counts[first])


# --- command line ---------------------------------------------------------------------


def _parted(text, separator, expected):
    left, found, right = text.partition(separator)
    if not (left and found and right):
        raise ExtractError(f"{text!r}: expected {expected}")
    return left, right


def _file_arrays(text):
    """Arrays of "FILE" or "FILE:NAME"."""
    if Path(text).exists() or ":" not in text:
        return read_arrays(text)
    path, _, name = text.rpartition(":")
    arrays = read_arrays(path)
    if name not in arrays:
        raise ExtractError(f"{path}: has no {name}; there are: {', '.join(arrays)}")
    return {name: arrays[name]}


def _below(where, found, source):
    """{path: value}: below a group by their names, or the only one at `where`."""
    if where in GROUPS:
        return {f"{where}/{entry_name(name)}": value for name, value in found.items()}
    if len(found) > 1:
        raise ExtractError(f"{source}: has {len(found)} arrays for {where}: name one")
    return {where: value for value in found.values()}


def _requested_arrays(options):
    """{path: array or Link} of --put and --link, and the graph."""
    arrays, graph, left_out = {}, None, []
    for text in options.put:
        where, source = _parted(text, "=", "WHERE=FILE")
        if where == "graph":
            graph = _read_graph(source)
            continue
        for path, values in _below(where, _file_arrays(source), source).items():
            is_weight = where == "weights"
            if is_weight and any(fnmatch.fnmatchcase(path, b) for b in BUFFERS):
                left_out.append(path)
            else:
                arrays[path] = values
    for text in options.link:
        where, source = _parted(text, "=", "WHERE=FILE:/ENTRY")
        arrays.update(_below(where, parse_links(source), source))
    return arrays, graph, left_out


def _read_graph(source):
    suffix = Path(source).suffix
    if suffix not in GRAPHS:
        raise ExtractError(f"{source}: expected a suffix of {', '.join(GRAPHS)}")
    return GRAPHS[suffix](source)


def _requested_samples(options):
    samples = {}
    for key, source in (("id", options.ids), ("label", options.labels)):
        if source:
            values = next(iter(_file_arrays(source).values()))
            if values.ndim != 1 or values.dtype.kind not in (
                "iu" if key == "label" else "iuU"
            ):
                raise ExtractError(f"{source}: expected one {key} per sample")
            samples[key] = values.tolist()
    return samples


def _requested_kinds(options):
    kinds = dict(_parted(text, "=", "PATTERN=KIND") for text in options.kind)
    for kind in kinds.values():
        if kind not in KINDS:
            raise ExtractError(f"--kind {kind}: expected one of {', '.join(KINDS)}")
    return kinds


def _requested_attributes(options):
    found = {}
    for text in options.attribute:
        place, value = _parted(text, "=", "PATH:NAME=VALUE")
        path, separator, name = place.rpartition(":")
        if not separator or not name:
            raise ExtractError(f"{text!r}: expected PATH:NAME=VALUE")
        try:
            value = json.loads(value)
        except ValueError:
            pass  # a text
        found.setdefault(path, {})[name] = value
    return found


def parse_arguments(arguments):
    description, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    repeated = dict(action="append", default=[])
    parser.add_argument("--model", required=True, help="its name, new in the zoo")
    parser.add_argument("--put", metavar="WHERE=FILE", **repeated)
    parser.add_argument("--link", metavar="WHERE=FILE:/ENTRY", **repeated)
    parser.add_argument("--labels", metavar="FILE", help="one integer per sample")
    parser.add_argument("--ids", metavar="FILE", help="one integer or text per sample")
    parser.add_argument(
        "--kind",
        metavar="PATTERN=KIND",
        help=f"of weights: {', '.join(KINDS)}; the first pattern that matches",
        **repeated,
    )
    parser.add_argument(
        "--attribute",
        metavar="PATH:NAME=VALUE",
        help="of an array or group of the model (PATH may be empty), a number, list or "
        "text: sharpness:radius=[0.1,0.2]",
        **repeated,
    )
    parser.add_argument("--output", required=True, metavar="ZOO.h5")
    parser.add_argument("--append", action="store_true", help="add to an existing zoo")
    parser.add_argument(
        "--gzip",
        type=int,
        default=4,
        choices=range(10),
        metavar="0-9",
        help="default: 4",
    )
    return parser.parse_args(arguments)


def _run(options):
    arrays, graph, left_out = _requested_arrays(options)
    settings = dict(
        graph=graph,
        samples=_requested_samples(options),
        kinds=_requested_kinds(options),
        attributes=_requested_attributes(options),
    )
    with ZooWriter(options.output, append=options.append, gzip=options.gzip) as zoo:
        import_model(zoo, options.model, arrays, **settings)
    more = f", {len(left_out)} running statistics left out" if left_out else ""
    graph = " and a graph" if graph else ""
    print(f"{options.output}: {options.model}: {len(arrays)} arrays{graph}{more}")


def main(arguments=None):
    """Exit status 0, or 2 after a message on standard error."""
    options = parse_arguments(arguments)
    try:
        _run(options)
    except ExtractError as error:
        print(f"zoogram_import.py: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
