"""The zoo file: activations of several models over the same samples, written batch by
batch.  FORMATS.md's section "Zoo" in short:

    /samples/{id,label} [n]     /models/<model>/activations/<layer> [n, d]
"""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

CHUNK_BYTES = 1 << 20
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
    A model appears in the zoo only when it is complete, and a new file that received no
    model is removed on closing.
    """

    def __init__(self, path, append=False, gzip=4):
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
                self.path, "w" if self._is_new else "r+", track_order=True
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
            for layer in group.get("activations", {}).values():
                self._check_count(writer, len(layer), other)
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
    """Takes one model's activations batch by batch into datasets that grow."""

    def __init__(self, group, name, filters):
        self.name = name
        self.count = 0  # samples written so far
        self._layers = group.create_group("activations", track_order=True)
        self._filters = filters
        self._datasets = {}
        self._samples = {"id": [], "label": []}

    @property
    def layers(self):
        return list(self._datasets)

    def append(self, layers, samples, expected=None):
        """Write one batch.

        layers: {name: Recorded with rows [b, d]}, in order, the same names every time;
        samples: {"id" or "label": sequence of b} with None where unknown;
        expected: number of samples to come in all, if known (it limits the chunks).
        """
        if not self._datasets:
            for order, (name, recorded) in enumerate(layers.items()):
                self._datasets[name] = self._create(name, order, recorded, expected)
        if layers.keys() != self._datasets.keys():
            name = sorted(layers.keys() ^ self._datasets.keys())[0]
            raise ExtractError(
                f"model {self.name}, layer {name}: was run for some batches only"
            )
        for name, recorded in layers.items():
            self._append_rows(name, recorded.rows)
        for key, values in samples.items():
            if values is not None:
                self._samples[key].extend(values)
        self.count += len(next(iter(layers.values())).rows)

    def _create(self, name, order, recorded, expected):
        rows = recorded.rows
        width = rows.shape[1]
        if not width:
            raise ExtractError(f"model {self.name}, layer {name}: has no features")
        chunk = max(1, CHUNK_BYTES // (width * rows.dtype.itemsize))
        dataset = self._layers.create_dataset(
            name.replace("/", "|"),
            shape=(0, width),
            maxshape=(None, width),
            dtype=rows.dtype,
            chunks=(min(chunk, expected or chunk), width),
            **self._filters,
        )
        dataset.attrs.update({"order": order, **recorded.attributes})
        return dataset

    def _append_rows(self, name, rows):
        dataset = self._datasets[name]
        if rows.shape[1] != dataset.shape[1]:
            raise ExtractError(
                f"model {self.name}, layer {name}: {rows.shape[1]} features in one "
                f"batch, {dataset.shape[1]} before; pool maps or average tokens of "
                "varying size"
            )
        dataset.resize(self.count + len(rows), axis=0)
        dataset[self.count :] = rows

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
