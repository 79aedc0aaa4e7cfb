"""What a data loader gives: inputs, labels, ids, and how many there will be."""

from collections.abc import Mapping

import numpy as np
import torch

from zoogram_zoo import ExtractError


def split_batch(batch):
    """A batch -> positional inputs, keyword inputs, {"id", "label": list or None}."""
    if isinstance(batch, Mapping):
        keywords = dict(batch)
        labels = [keywords.pop(key) for key in ("label", "labels") if key in keywords]
        ids = [keywords.pop(key) for key in ("id", "ids") if key in keywords]
        inputs = []
    else:
        parts = list(batch) if isinstance(batch, (tuple, list)) else [batch]
        inputs, labels, ids, keywords = parts[:1], parts[1:2], parts[2:3], {}
    return inputs, keywords, {"id": _listed(ids, "iuU"), "label": _listed(labels, "iu")}


def _listed(found, kinds):
    """The values of the first thing found, if they are one per sample and of these
    numpy kinds; else None."""
    if not found or found[0] is None:
        return None
    values = found[0].tolist() if isinstance(found[0], torch.Tensor) else found[0]
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
