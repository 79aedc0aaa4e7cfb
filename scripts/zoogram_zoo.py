"""The zoo file: what is recorded of several models over the same samples, written batch
by batch.  `zoogram help formats` describes it; in short:

    /samples/{id,label} [n]     /models/<model>/activations/<layer> [n, d]
                                /models/<model>/{weights,gradients,ntk}/..., logits ...
"""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

CHUNK_BYTES = 1 << 20
SMALL_BYTES = 1 << 16  # the index of a chunked dataset takes some KiB
PENDING = "unfinished"  # root group of a model whose extraction has not ended yet


class ExtractError(ValueError):
    """A request that cannot be met; the message names the file, model or layer."""


@dataclass(frozen=True)
class Recorded:
    """One layer of one batch."""

    rows: np.ndarray  # [b, d], owned
    attributes: dict  # of the layer's dataset in the zoo


class ZooWriter:
    """One zoo file, open for adding models; also a context manager.

    append=False makes a new file and refuses an existing one; append=True adds to an
    existing zoo, or makes it.  gzip is the deflate level, 0 for no compression.
    compact=True makes files that need HDF5 1.10 (of 2016) to read: some KiB less for
    each dataset, which counts where many are small.
    A model appears in the zoo only when it is complete, and a new file that received no
    model is removed on closing.
    """

    def __init__(self, path, append=False, gzip=4, compact=False):
        self.path = Path(path)
        self._is_new = not self.path.exists()
        self._filters = dict(compression="gzip", compression_opts=gzip, shuffle=True)
        if not gzip:
            self._filters = {}
        if not self._is_new and not append:
            raise ExtractError(
                f"{path}: exists already; append to it or choose another name"
            )
        try:
            self._file = h5py.File(
                self.path,
                "w" if self._is_new else "r+",
                libver=("v110", "v110") if compact else None,
                track_order=True,
            )
        except OSError as error:
            raise ExtractError(f"{path}: cannot be opened: {error}") from None
        if self._is_new:
            self._file.attrs.update({"format": "zoogram-zoo", "version": 1})
            self._file.create_group("models", track_order=True)
        else:
            self._check_is_zoo()

    def _check_is_zoo(self):
        header = self._file.attrs.get("format"), self._file.attrs.get("version")
        if header not in (("zoogram-zoo", 1), (b"zoogram-zoo", 1)):
            self._file.close()
            raise ExtractError(f"{self.path}: is not a zoogram zoo of version 1")
        self._file.require_group("models")
        if PENDING in self._file:  # left by a process that was killed
            del self._file[PENDING]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file; a second call does nothing."""
        if not self._file:
            return
        is_empty = not len(self._file["models"])
        self._file.close()
        if self._is_new and is_empty:
            self.path.unlink()

    @property
    def models(self):
        """Names of the models in the zoo, in the order of the file."""
        return list(self._file["models"])

    def set_attributes(self, attributes):
        """Write attributes on the file's root."""
        self._file.attrs.update(attributes)

    @contextmanager
    def new_model(self, name, attributes=None):
        """Give a ModelWriter; its model joins the zoo when the block ends well."""
        models = self._file["models"]
        if not name or "/" in name or name == ".":
            raise ExtractError(
                f"{name!r} cannot be a model's name: empty, '.' or with '/'"
            )
        if name in models:
            raise ExtractError(f"{self.path}: has a model {name} already")
        group = self._file.create_group(PENDING, track_order=True)
        try:
            group.attrs.update(attributes or {})
            orders = [other.attrs.get("order", -1) for other in models.values()]
            group.attrs["order"] = max([len(models), *(1 + int(o) for o in orders)])
            writer = ModelWriter(group, name, self._filters)
            yield writer
            self._accept(writer)
            self._file.move(PENDING, f"models/{name}")
            self._file.flush()
        except BaseException:
            del self._file[PENDING]
            raise

    def _accept(self, writer):
        """Check a finished model against the zoo's samples; the first defines them."""
        for other, group in self._file["models"].items():
            for paired in [*group.get("activations", {}).values(), group.get("logits")]:
                if paired is not None and writer.count:
                    self._check_count(writer, len(paired), other)
                    break
        samples = self._file.require_group("samples")
        arrays = writer.samples()
        for key in samples.keys() & arrays.keys():
            self._check_samples(writer, key, samples[key], arrays[key])
        for key in arrays.keys() - samples.keys():
            text = h5py.string_dtype() if arrays[key].dtype.kind == "U" else None
            samples.create_dataset(
                key, data=arrays[key].astype(text or arrays[key].dtype)
            )

    @staticmethod
    def _check_count(writer, count, other):
        if count != writer.count:
            raise ExtractError(
                f"model {writer.name}: the loader gave {writer.count} "
                f"samples, but {other} has {count}"
            )

    def _check_samples(self, writer, key, dataset, values):
        """The model's ids or labels must be those of the zoo."""
        self._check_count(writer, len(dataset), f"samples/{key}")
        is_text = h5py.check_string_dtype(dataset.dtype)
        known = dataset.asstr()[:] if is_text else dataset[:]
        differs = [i for i, (ours, its) in enumerate(zip(values, known)) if ours != its]
        if differs:
            at = differs[0]
            raise ExtractError(
                f"model {writer.name}: sample {at} has {key} {values[at]}, but "
                f"{known[at]} in {self.path}: the loader must give the same samples "
                "in the same order for every model"
            )


class ModelWriter:
    """Takes what is recorded of one model; datasets grow along their first axis.

    Paths are relative to the model's group; the order in which groups and datasets are
    made is kept in the attribute `order` wherever a path has more than one part.
    """

    def __init__(self, group, name, filters):
        self.name = name
        self.count = 0  # samples written so far
        self._group = group
        self._filters = filters
        self._datasets = {}  # {path: dataset}
        self._layers = []
        self._samples = {"id": [], "label": []}

    @property
    def layers(self):
        return list(self._layers)

    def append(self, layers, samples, count, expected=None):
        """Write one batch of activations.

        layers: {name: Recorded with rows [b, d]}, in order, the same names every time;
        samples: {"id" or "label": sequence of b} with None where unknown; count: b;
        expected: number of samples to come in all, if known (it limits the chunks).
        """
        if not self.count:
            self._layers = list(layers)
        if layers.keys() != set(self._layers):
            name = sorted(layers.keys() ^ set(self._layers))[0]
            raise ExtractError(
                f"model {self.name}, layer {name}: was run for some batches only"
            )
        for name, recorded in layers.items():
            self._append_layer(name, recorded, expected)
        for key, values in samples.items():
            if values is not None:
                self._samples[key].extend(values)
        self.count += count

    def _append_layer(self, name, recorded, expected):
        path = f"activations/{entry_name(name)}"
        width = recorded.rows.shape[1]
        if not width:
            raise ExtractError(f"model {self.name}, layer {name}: has no features")
        before = self._datasets[path].shape[1] if path in self._datasets else width
        if width != before:
            raise ExtractError(
                f"model {self.name}, layer {name}: {width} features in one "
                f"batch, {before} before; pool maps or average tokens of "
                "varying size"
            )
        self.extend(path, recorded.rows, expected, recorded.attributes)

    def extend(self, path, rows, expected=None, attributes=None):
        """Append rows [b, ...] to the dataset at path, which the first call makes.

        expected: number of rows to come in all, if known; attributes: of the dataset,
        taken from the first call.  Later rows must have the first ones' shape.
        """
        if path not in self._datasets:
            self._datasets[path] = self._create(
                path,
                attributes,
                shape=(0, *rows.shape[1:]),
                maxshape=(None, *rows.shape[1:]),
                dtype=rows.dtype,
                chunks=chunk_shape(rows.shape[1:], rows.dtype.itemsize, expected),
                **self._filters,
            )
        dataset = self._datasets[path]
        count = len(dataset)
        dataset.resize(count + len(rows), axis=0)
        dataset[count:] = rows

    def write(self, path, values, attributes=None, dtype=None):
        """Write a dataset as a whole: an array of any shape, also without axes.

        dtype: of the dataset, by default that of the array.
        """
        filters = {}
        if values.nbytes > SMALL_BYTES:
            rest = values.shape[1:]
            chunks = chunk_shape(rest, values.dtype.itemsize, len(values))
            filters = dict(chunks=chunks, **self._filters)
        self._create(path, attributes, data=values, dtype=dtype, **filters)

    def parent(self, path):
        """(h5py.Group, name) of an entry to be made; the groups above it are made."""
        parent, _, name = path.rpartition("/")
        return (self._require_group(parent) if parent else self._group), name

    def dataset(self, path):
        """A dataset written or linked before."""
        return self._group[path]

    def shape(self, path):
        """Shape of a dataset that extend() has made, None if it has not."""
        return self._datasets[path].shape if path in self._datasets else None

    def set_attributes(self, path, attributes):
        """Write attributes on a dataset, or a group, which is made if need be."""
        self._require_group(path).attrs.update(attributes)

    def _create(self, path, attributes, **layout):
        group, name = self.parent(path)
        order = {"order": len(group)} if "/" in path else {}
        dataset = group.create_dataset(name, **layout)
        dataset.attrs.update({**order, **(attributes or {})})
        return dataset

    def _require_group(self, path):
        """The group at path; parts that are missing are made, with their order."""
        group = self._group
        for depth, part in enumerate(path.split("/")):
            if part not in group:
                order = len(group)
                group.create_group(part, track_order=True)
                if depth:
                    group[part].attrs["order"] = order
            group = group[part]
        return group

    def samples(self):
        """The ids and labels seen, {key: array [n]}; a key is absent if never seen."""
        arrays = {
            key: np.asarray(values) for key, values in self._samples.items() if values
        }
        for key, values in arrays.items():
            if len(values) != self.count:
                raise ExtractError(
                    f"model {self.name}: {len(values)} {key}s for "
                    f"{self.count} samples"
                )
        return arrays


def entry_name(name):
    """A module's or parameter's name as the name of one HDF5 entry."""
    return name.replace("/", "|")


def chunk_shape(rest, itemsize, expected=None):
    """Chunks of about CHUNK_BYTES for rows of shape `rest`, at most `expected` rows."""
    width = int(np.prod(rest, dtype=np.int64))
    rows = max(1, CHUNK_BYTES // max(1, width * itemsize))
    chunk = [min(rows, expected or rows)]
    for axis, extent in enumerate(
        rest
    ):  # long rows: cut the first axes to single steps
        inner = int(np.prod(rest[axis + 1 :], dtype=np.int64)) * itemsize
        chunk.append(max(1, min(extent, CHUNK_BYTES // max(1, inner))))
    return tuple(chunk)
