"""Recording gradients of losses, of tasks and of single samples, and sharpness."""

import itertools
from collections.abc import Mapping

import numpy as np
import torch

from zoogram_network import dense, derivatives, rounded
from zoogram_weights import parameter_names
from zoogram_zoo import ExtractError, entry_name

TASKS = ("loss", "class", "batch")
CHUNK_NUMBERS = 1 << 26  # per-sample gradients computed at a time, in numbers
TORCH_FUNC_TOLERANCE = 1e-3  # relative; a wrong gradient differs by order one


def record_gradients(network, target, loader, tasks="loss", limit=None, dtype="auto"):
    """Write gradients/<task> [p], each of the mean loss over the task's samples.

    tasks: "loss", one task of all samples; "class", one per label; "batch", one per
    batch; or {name: (loss or None, data)}, the network's own loss if None.  The data of
    a task are a loader (any iterable of batches) or one batch (a tensor, tuple or
    mapping).  limit: number of samples at most of the loader (not of tasks' own data).
    """
    for name, vector in _task_gradients(network, loader, tasks, limit):
        target.write(
            f"gradients/{entry_name(name)}", rounded(derivatives(vector), dtype)
        )
    target.set_attributes("gradients", {"parameters": parameter_names(network.model)})


def _task_gradients(network, loader, tasks, limit):
    """Pairs (task's name, gradient [p])."""
    if isinstance(tasks, Mapping):
        for name, (loss, data) in tasks.items():
            if not name or "/" in name:
                raise ExtractError(f"task {name!r}: empty, or with '/'")
            is_batch = isinstance(data, (torch.Tensor, tuple, Mapping))
            batches = network.batches([data] if is_batch else data)
            yield name, mean_gradient(network, batches, loss)
    elif tasks == "loss":
        yield "loss", mean_gradient(network, network.batches(loader, limit))
    elif tasks == "batch":
        for number, batch in enumerate(network.batches(loader, limit)):
            yield f"batch{number}", mean_gradient(network, [batch])
    else:
        labels = set()
        for batch in network.batches(loader, limit):
            labels.update(_class_labels(network, batch))
        for label in sorted(labels):
            batches = _of_class(network, network.batches(loader, limit), label)
            yield f"class{label}", mean_gradient(network, batches)


def mean_gradient(network, batches, loss=None):
    """Gradient [p] of the mean loss of all samples, given that of each batch."""
    total, count = 0, 0
    for batch in batches:
        total = total + batch.size * network.gradient(network.loss(batch, loss))
        count += batch.size
    return total / count


def _class_labels(network, batch):
    labels = batch.samples["label"]
    if labels is None:
        raise ExtractError(
            f"model {network.name}: one task per class needs one integer label per sample"
        )
    return labels


def _of_class(network, batches, label):
    """The batches' samples of one label."""
    for batch in batches:
        labels = _class_labels(network, batch)
        rows = [row for row, other in enumerate(labels) if other == label]
        if rows:
            yield batch.select(rows)


def record_sample_gradients(network, target, loader, count, dtype="auto"):
    """Write sample_gradients [m, p] of the loss, of the first `count` samples."""
    by_torch_func = torch_func_gradients(network)
    for batch in network.batches(loader, count):
        rows = by_torch_func(batch) if by_torch_func else None
        if rows is None:
            by_torch_func, rows = None, gradients_one_by_one(network, batch)
        target.extend("sample_gradients", rounded(derivatives(rows), dtype), count)
    names = parameter_names(network.model)
    target.set_attributes("sample_gradients", {"parameters": names})


def gradients_one_by_one(network, batch):
    """Gradients [b, p] of the losses of a batch's samples, by a pass for each."""
    singles = (batch.select([row]) for row in range(batch.size))
    return torch.stack([network.gradient(network.loss(s)) for s in singles])


def torch_func_gradients(network):
    """A function that does the same by torch.func, all samples in one pass.

    None without torch.func.  The function gives None where that cannot follow the model
    (branches on data, in-place tricks, inputs that are not plain tensors) or differs
    from autograd in the first sample.
    """
    try:
        from torch.func import functional_call, grad, vmap
    except ImportError:  # before PyTorch 2
        return None
    parameters = {name: p.detach() for name, p in network.parameters.items()}
    chunk = max(1, CHUNK_NUMBERS // sum(p.numel() for p in parameters.values()))

    def sample_loss(parameters, inputs, keywords, label):
        inputs = tuple(part[None] for part in inputs)
        keywords = {key: part[None] for key, part in keywords.items()}
        output = functional_call(network.model, parameters, inputs, keywords)
        return network.compare(network.logits_of(output, 1), label[None])

    sample_gradient = vmap(grad(sample_loss), (None, 0, 0, 0), chunk_size=chunk)

    def gradients(batch):
        parts = [*batch.inputs, *batch.keywords.values()]
        if not all(isinstance(p, torch.Tensor) and len(p) == batch.size for p in parts):
            return None
        labels = network.labels(batch)
        try:
            by_name = sample_gradient(
                parameters, tuple(batch.inputs), batch.keywords, labels
            )
        except Exception:  # whatever torch.func meets in foreign code: go without it
            return None
        flat = [by_name[name].reshape(batch.size, -1) for name in parameters]
        rows = torch.cat(flat, dim=1).detach()
        expected = network.gradient(network.loss(batch.select([0])))
        error = torch.linalg.vector_norm(rows[0] - expected)
        limit = TORCH_FUNC_TOLERANCE * torch.linalg.vector_norm(expected)
        return rows if error <= limit else None

    return gradients


def record_sharpness(network, target, loader, radii, steps, count):
    """Write sharpness [radii, batches] of the first `count` batches.

    An entry is the largest loss of the batch found at parameters within the radius of
    the model's (Euclidean, all parameters together), minus its loss there.  The ascent
    starts with a step of one radius along the gradient and goes on with such steps, each
    projected back onto the ball: exact for linear losses, a lower bound for others.
    """
    columns = []
    for batch in itertools.islice(network.batches(loader), count):
        columns.append([_loss_rise(network, batch, r, steps) for r in radii])
    attributes = {"radius": np.asarray(radii, np.float64), "steps": steps}
    target.write("sharpness", np.asarray(columns).T, attributes)


def _loss_rise(network, batch, radius, steps):
    parameters = list(network.parameters.values())
    before = [parameter.detach().clone() for parameter in parameters]
    offset = torch.zeros_like(torch.cat([dense(part) for part in before]))
    try:
        loss = network.loss(batch)
        start = best = loss.item()
        for _ in range(steps):
            gradient = network.gradient(loss)
            length = torch.linalg.vector_norm(gradient)
            if not length > 0:  # flat, or not finite: no direction to go
                break
            offset = offset + radius / length * gradient
            offset *= radius / max(radius, torch.linalg.vector_norm(offset).item())
            moved = [p + part for p, part in zip(before, _split(offset, before))]
            _set_values(parameters, moved)
            loss = network.loss(batch)
            best = max(best, loss.item())
    finally:
        _set_values(parameters, before)
    return best - start


def _split(vector, like):
    """Parts of a flattened vector in the shapes of the tensors."""
    parts = vector.split([tensor.numel() for tensor in like])
    return [part.reshape(tensor.shape) for part, tensor in zip(parts, like)]


def _set_values(parameters, values):
    with torch.no_grad():
        for parameter, value in zip(parameters, values):
            parameter.copy_(value)
