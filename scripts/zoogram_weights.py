"""Recording parameters, with what their modules say about them."""

import numpy as np
import torch
from torch import nn

from zoogram_network import stored
from zoogram_zoo import ExtractError, entry_name

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


def parameter_names(model):
    """Names in the zoo of the model's parameters in flattening order."""
    return [entry_name(name) for name, _ in model.named_parameters()]


def record_weights(network, target, loader=None):
    """Write weights/<parameter> with `kind` for every parameter; shared ones once.

    A convolution also gets stride, dilation, padding, groups, padding_mode, and, if a
    loader is given, the input_size that its first call on the first sample sees.  The
    kernel of a Conv1d is written as [out, in, 1, k] with sizes to match.
    """
    owners = owning_modules(network.model)
    if not network.parameters:
        raise ExtractError(f"model {network.name}: has no parameters to record")
    sizes = _input_sizes(network, loader) if loader is not None else {}
    for name, parameter in network.parameters.items():
        module, local = owners[name]
        values = stored(parameter)
        attributes = {"kind": parameter_kind(module, local)}
        if attributes["kind"] == "conv":
            attributes.update(_conv_attributes(module, sizes.get(module)))
            if values.ndim == 3:
                values = values[:, :, None, :]
        target.write(f"weights/{entry_name(name)}", values, attributes)


def owning_modules(model):
    """{parameter's name: (the module that has it, its name there)}; a shared one is
    there under all its names."""
    return {
        f"{prefix}.{local}" if prefix else local: (module, local)
        for prefix, module in model.named_modules()
        for local, _ in module.named_parameters(recurse=False)
    }


def parameter_kind(module, local):
    """FORMATS' `kind` of the parameter that the module calls `local`."""
    parameter = getattr(module, local)
    if local == "bias" or local.endswith("_bias"):
        return "bias"
    if isinstance(module, nn.Linear) and local == "weight":
        return "linear"
    if isinstance(module, nn.MultiheadAttention) and local.endswith("proj_weight"):
        return "linear"
    if isinstance(module, CONVOLUTIONS) and local == "weight":
        return "conv"
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and local == "weight":
        return "embedding"
    if _is_norm(module) and local == "weight" and parameter.ndim <= 1:
        return "norm"
    return "other"


def _is_norm(module):
    """By the name of the class: many models bring their own normalisation layers."""
    names = [base.__name__ for base in type(module).__mro__]
    return any("Norm" in name for name in names)


def _conv_attributes(module, input_size):
    """Sizes as [h, w]; of a Conv1d h is 1.  input_size: [h, w] or None."""
    attributes = {
        "stride": _two(module.stride, 1),
        "dilation": _two(module.dilation, 1),
        "padding": padding_sides(module),
        "groups": module.groups,
        "padding_mode": module.padding_mode,
    }
    if input_size is not None:
        attributes["input_size"] = np.asarray(input_size, np.int64)
    return attributes


def padding_sides(module):
    """Padding of a convolution: [h, w], or [top, bottom, left, right] if it is "same",
    where an odd one goes to the end."""
    if module.padding == "valid":
        return _two((0,) * len(module.kernel_size), 0)
    if module.padding != "same":
        return _two(module.padding, 0)
    sides = [(0, 0)] * (2 - len(module.kernel_size))
    for kernel, dilation in zip(module.kernel_size, module.dilation):
        total = dilation * (kernel - 1)
        sides.append((total // 2, total - total // 2))
    return np.asarray(sides, np.int64).reshape(-1)


def _two(sizes, missing):
    """One or two sizes as [h, w]."""
    return np.asarray([missing] * (2 - len(sizes)) + list(sizes), np.int64)


def _input_sizes(network, loader):
    """{convolution: [h, w] of the input of its first call, before padding}."""
    sizes = {}

    def note(module, inputs):
        if not inputs:  # called with keywords
            return
        extents = list(inputs[0].shape[-len(module.kernel_size) :])
        sizes.setdefault(module, [1] * (2 - len(extents)) + extents)

    convolutions = [m for m in network.model.modules() if isinstance(m, CONVOLUTIONS)]
    handles = [module.register_forward_pre_hook(note) for module in convolutions]
    try:
        if convolutions:
            with torch.no_grad():
                network(next(network.singles(loader, 1)))
    finally:
        for handle in handles:
            handle.remove()
    return sizes
