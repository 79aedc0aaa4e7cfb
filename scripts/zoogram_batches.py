"""What a data loader gives: inputs, labels, ids, and how many there will be."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from zoogram_zoo import ExtractError


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a loader gives at a time, taken apart."""

    inputs: list  # positional arguments of the model
    keywords: dict  # keyword arguments of the model
    labels: object  # whatever the loss compares with; None where there are none
    ids: object

    @property
    def size(self):
        """Number of samples: the first axis of the first tensor; None without one."""
        leading = first_tensor([*self.inputs, *self.keywords.values()])
        return len(leading) if leading is not None and leading.ndim else None

    @property
    def samples(self):
        """{"id", "label": list of one value per sample, or None}."""
        return {"id": _listed(self.ids, "iuU"), "label": _listed(self.labels, "iu")}

    def moved(self, device):
        """The same batch with inputs and labels on the device."""
        return Batch(*(moved(p, device) for p in self._parts()), self.ids)

    def select(self, rows):
        """The batch of some samples only; rows: list of indices."""
        return Batch(*(_select(p, rows, self.size) for p in self._parts()), self.ids)

    def _parts(self):
        return self.inputs, self.keywords, self.labels


def split_batch(batch):
    """A loader's batch, in one of the forms that zoogram_extract.py lists -> Batch."""
    if isinstance(batch, Mapping):
        keywords = dict(batch)
        labels = [keywords.pop(key) for key in ("label", "labels") if key in keywords]
        ids = [keywords.pop(key) for key in ("id", "ids") if key in keywords]
        inputs = []
    else:
        parts = list(batch) if isinstance(batch, (tuple, list)) else [batch]
        inputs, labels, ids, keywords = parts[:1], parts[1:2], parts[2:3], {}
    return Batch(inputs, keywords, *(next(iter(p), None) for p in (labels, ids)))


def repeatable(loader):
    """The loader, or its batches in a list if it can be gone through only once."""
    return list(loader) if isinstance(loader, Iterator) else loader


def first_tensor(output):
    """The first tensor of a structure, depth first; None where there is none."""
    return next(tensors_of(output), None)


def tensors_of(output):
    """All tensors of a structure, depth first."""
    if isinstance(output, torch.Tensor):
        yield output
        return
    if isinstance(output, Mapping):
        parts = output.values()
    elif isinstance(output, (tuple, list)):
        parts = output
    elif dataclasses.is_dataclass(output):
        parts = [getattr(output, field.name) for field in dataclasses.fields(output)]
    else:
        return
    for part in parts:
        yield from tensors_of(part)


def _select(value, rows, size):
    """The rows of every tensor and list that has one row per sample."""
    if isinstance(value, torch.Tensor):
        return value[rows] if value.ndim and len(value) == size else value
    if isinstance(value, Mapping):
        return {key: _select(part, rows, size) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        if len(value) == size and first_tensor(value) is None:
            return [value[row] for row in rows]
        return [_select(part, rows, size) for part in value]
    return value


def _listed(found, kinds):
    """What was found as a list, if it is one value per sample and of these numpy kinds;
    else None."""
    if found is None:
        return None
    values = found.tolist() if isinstance(found, torch.Tensor) else found
    array = np.asarray(values)
    return array.tolist() if array.ndim == 1 and array.dtype.kind in kinds else None


def moved(value, device):
    """The same structure with its tensors on the device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: moved(part, device) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [moved(part, device) for part in value]
    return value


def refuse_shuffling(loader, name):
    sampler = getattr(loader, "sampler", None)
    if isinstance(
        sampler, (torch.utils.data.RandomSampler, torch.utils.data.SubsetRandomSampler)
    ):
        raise ExtractError(
            f"model {name}: the loader shuffles; every model of a zoo must see "
            "the same samples in the same order (shuffle=False)"
        )


def expected_count(loader, limit):
    """Number of samples that will be written, None if the loader does not tell."""
    try:
        count = len(loader.dataset)
    except (AttributeError, TypeError):
        count = None
    known = [number for number in (count, limit) if number]
    return min(known) if known else None
