"""Recording how fast the margins between classes change with the input."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from zoogram_batches import tensors_of
from zoogram_network import derivatives
from zoogram_zoo import ExtractError


def record_margin_gradients(network, target, loader, classes, limit=None):
    """Write margin_gradients [n, C]: the norm of d(logit_c - logit_k) / d input.

    c is the top class of the sample, k each of the `classes` next ones in the order of
    its logits; NaN elsewhere, and at c.  The input is the first tensor of real numbers
    that the model is given; its samples must not depend on one another.
    """
    for batch in network.batches(loader, limit):
        norms = _norms(network, batch, classes)
        target.extend("margin_gradients", derivatives(norms), limit or None)
    attributes = {"input_norm": "euclidean", "top_classes": classes}
    target.set_attributes("margin_gradients", attributes)


def _norms(network, batch, classes):
    """Norms [b, C] of a batch."""
    batch, inputs = _with_gradient(network, batch)
    logits = network.logits(batch)
    count = logits.shape[1]
    if count < 2:
        raise ExtractError(
            f"model {network.name}: {count} logit has no margin to another class"
        )
    order = logits.detach().sort(dim=1, descending=True, stable=True).indices
    tops = logits.gather(1, order[:, :1])[:, 0]
    norms = torch.full_like(logits.detach(), np.nan)
    for rank in range(1, min(classes, count - 1) + 1):
        others = order[:, rank : rank + 1]
        # Samples do not meet, so one pass gives the derivative of each by its own input.
        total = (tops - logits.gather(1, others)[:, 0]).sum()
        (change,) = torch.autograd.grad(
            total, [inputs], retain_graph=True, allow_unused=True
        )
        if change is None:
            raise ExtractError(
                f"model {network.name}: the logits do not depend on the input in a way "
                "that PyTorch can differentiate"
            )
        lengths = torch.linalg.vector_norm(change.reshape(batch.size, -1), dim=1)
        norms.scatter_(1, others, lengths[:, None].to(norms.dtype))
    return norms


def _with_gradient(network, batch):
    """The batch with its first tensor of real numbers as a leaf of the graph, and it."""
    parts = [*batch.inputs, *batch.keywords.values()]
    original = next((t for t in tensors_of(parts) if t.is_floating_point()), None)
    if original is None:
        raise ExtractError(
            f"model {network.name}: its input has no real numbers (indices of words?), so "
            "that margins have no gradient by it; give the model's embedded input"
        )
    leaf = original.detach().clone().requires_grad_()

    def put(part):
        if isinstance(part, (list, tuple)):
            return [put(each) for each in part]
        if isinstance(part, Mapping):
            return {name: put(each) for name, each in part.items()}
        return leaf if part is original else part

    inputs, keywords = put(batch.inputs), put(batch.keywords)
    return replace(batch, inputs=inputs, keywords=keywords), leaf
