"""Recording tangent kernels: d logits / d parameters, sample by sample.

The derivative by a layer's weights is the product of what the layer reads (`input`) and
the derivative by what it gives (`signal`), summed over positions.  The kernel of many
samples follows from these two, so they are recorded instead of their product (Novak,
Sohl-Dickstein and Schoenholz 2022, Fast finite width neural tangent kernel, section 3).

How.  For the time of a forward pass torch.nn.functional's linear, conv1d to conv3d and
embedding are replaced by functions that do the same with parameters cut off from the
graph, and note what they read and gave.  It does not matter which module calls them, or
how often: the positions of all calls are put one after another, which is exact.  A
parameter that the graph still reaches is used in another way (norms, position
embeddings, an embedding tied to the classifier, weight norm): it is not cut off then,
and its derivatives are recorded as they are (`direct`).  Each sample is run alone, so
every position belongs to it, wherever the network keeps its batch axis.
"""

import functools
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from zoogram_network import dense, derivatives, rounded, stored, substituted
from zoogram_weights import owning_modules, parameter_names
from zoogram_zoo import ExtractError, entry_name

FORMS = ("auto", "factors")
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
DIRECT_NUMBERS = 1 << 28  # of one sample and layer; more is a mistake, not a wish
# Relative difference to autograd that rounding can explain; half types have 1e-3.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
HALF_TOLERANCE = 5e-2
# A layer whose derivatives cancel (a key's bias) cannot be compared with its own size,
# but with this share of the network's.
LEAST_SHARE = 1e-2


def record_tangent(
    network, target, loader, count, classes=None, form="auto", dtype="auto"
):
    """Write ntk/<layer>/{input or index, signal} or {direct}, of `count` samples.

    classes: indices of the logits, None for all.  form: "factors", or "auto", which
    writes `direct` where that has fewer numbers (convolutions with large maps).
    A layer is named after its module; the groups of a grouped convolution are layers
    of their own, <module>.group0, ...  The first sample's derivatives are compared with
    autograd's, layer by layer; a difference is an error that names the layer.
    """
    layers = None
    for sample in network.singles(loader, count):
        is_first = layers is None
        layers = plan_layers(network, sample) if is_first else layers
        arrays = sample_arrays(network, sample, layers, classes, form)
        if is_first:
            check_sample(network, sample, layers, classes, arrays)
            _describe(target, layers, arrays, classes)
        _append(network, target, arrays, count, dtype)


def record_jacobian(network, target, loader, count, classes=None, dtype="auto"):
    """Write jacobian [m, C, p] = d logits / d parameters of the first `count` samples."""
    for sample in network.singles(loader, count):
        logits = _chosen(network, network.logits(sample)[0], classes)
        rows = [network.gradient(logit, retain=True) for logit in logits]
        rows = rounded(derivatives(torch.stack(rows)[None]), dtype)
        target.extend("jacobian", rows, count)
    attributes = {"parameters": parameter_names(network.model)}
    target.set_attributes("jacobian", {**attributes, **_class_attribute(classes)})


@dataclass(frozen=True)
class Layer:
    """Some parameters whose derivatives are recorded together."""

    name: str
    kind: str  # linear | convN d | embedding | direct
    parameters: tuple  # their names: (weight,), (weight, bias) or any of a direct one
    groups: int = 1

    @property
    def bias(self):
        return int(self.kind != "direct" and len(self.parameters) == 2)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a function with a parameter that was cut off."""

    kind: str
    weight: str  # parameter's name
    bias: str  # parameter's name; "" if there is none, or none that was cut off
    groups: int
    inputs: torch.Tensor  # linear: rows [S, in]; embedding: indices [S]; else patches
    output: torch.Tensor  # as the function gave it; the graph goes on from a copy


class Interceptor:
    """Runs a network with parameters cut off wherever their use is understood."""

    def __init__(self, network, whole=()):
        """whole: names of parameters that are left in the graph."""
        self._network = network
        self._names = {
            parameter: name
            for name, parameter in network.parameters.items()
            if name not in whole
        }
        self.calls = []

    def logits(self, sample):
        """Logits [C] of a batch of one sample; self.calls are then those of the pass."""
        self.calls = []
        with self._replaced():
            return self._network.logits(sample)[0]

    @contextmanager
    def _replaced(self):
        replacements = {"linear": self._linear, "embedding": self._embedding}
        for name in CONVOLUTIONS:
            replacements[name] = functools.partial(self._conv, name)
        self._originals = {name: getattr(functional, name) for name in replacements}
        with substituted(functional, **replacements):
            yield

    def _linear(self, input, weight, bias=None):
        original = self._originals["linear"]
        if weight not in self._names:
            return original(input, weight, bias)
        kept = bias if bias not in self._names else None
        cut = bias.detach() if bias in self._names else None
        output = original(input, weight.detach(), cut)
        rows = input.detach().reshape(-1, input.shape[-1])
        result = self._note("linear", weight, bias, 1, rows, output)
        return result if kept is None else result + kept

    def _conv(
        self, kind, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1
    ):
        original = self._originals[kind]
        if weight not in self._names:
            return original(input, weight, bias, stride, padding, dilation, groups)
        kept = bias if bias not in self._names else None
        cut = bias.detach() if bias in self._names else None
        output = original(
            input, weight.detach(), cut, stride, padding, dilation, groups
        )
        rows = patches(input.detach(), weight.shape[2:], stride, padding, dilation)
        result = self._note(kind, weight, bias, groups, rows, output)
        return result if kept is None else result + _by_channel(kept, weight)

    def _embedding(self, input, weight, padding_idx=None, max_norm=None, *rest, **more):
        original = self._originals["embedding"]
        is_plain = max_norm is None and not any(rest[1:2])
        if weight not in self._names or not is_plain or more.get("scale_grad_by_freq"):
            return original(input, weight, padding_idx, max_norm, *rest, **more)
        output = original(input, weight.detach())
        indices = input.detach().reshape(-1)
        result = self._note("embedding", weight, None, 1, indices, output)
        if padding_idx is None:
            return result
        # By torch's definition the padding's row has no derivative.
        is_padding = input == padding_idx % len(weight)
        return torch.where(is_padding[..., None], result.detach(), result)

    def _note(self, kind, weight, bias, groups, inputs, output):
        """Keep a call; gives a copy of the output, which may be changed in place."""
        if not output.requires_grad:
            output.requires_grad_()
        names = self._names[weight], self._names.get(bias, "")
        self.calls.append(Call(kind, *names, groups, inputs, output))
        return output.clone()


def _by_channel(bias, weight):
    return bias.reshape(-1, *[1] * (weight.ndim - 2))


def patches(images, kernel, stride, padding, dilation):
    """What a convolution reads at each position, [S, channels * kernel's extents].

    images: [n, channels, ...] or [channels, ...]; the others as torch.nn.functional's
    convolutions take them, a number or one for each axis; padding also "same", "valid".
    """
    axes = len(kernel)
    values = _batched(images, axes)
    stride, dilation = _each(stride, axes), _each(dilation, axes)
    sides = []  # last axis first, as functional.pad wants them
    for axis in reversed(range(axes)):
        if padding == "same":
            total = dilation[axis] * (kernel[axis] - 1)
            sides += [total // 2, total - total // 2]
        else:
            sides += [0, 0] if padding == "valid" else [_each(padding, axes)[axis]] * 2
    values = functional.pad(values, sides)
    for axis in range(axes):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        values = values.unfold(2 + axis, reach, stride[axis])[..., :: dilation[axis]]
    values = values.movedim(1, 1 + axes)  # [images, positions, channels, kernel]
    return values.flatten(0, axes).flatten(1)


def _batched(images, axes):
    """[n, channels, ...] of one image [channels, ...] or several."""
    return images if images.ndim == axes + 2 else images[None]


def _each(value, axes):
    values = [value] * axes if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def plan_layers(network, sample):
    """The network's layers in the order of their parameters, from one sample's pass;
    those whose output does not enter the logits are left out."""
    whole = set()
    while True:
        interceptor = Interceptor(network, whole)
        logits = interceptor.logits(sample)
        calls = interceptor.calls
        entering = _entering(network, logits, calls)
        reached = entering.intersection(network.parameters)
        more = (reached | _ambiguous(calls)) - whole
        if not more:
            return _named_layers(network, entering.intersection(calls), reached)
        whole |= more


def _entering(network, logits, calls):
    """Names of the parameters that the graph of the logits has, and its calls."""
    if not logits.requires_grad:
        raise ExtractError(
            f"model {network.name}: the logits do not depend on any parameter in a way "
            "that PyTorch can differentiate"
        )
    tensors = {**network.parameters, **{call: call.output for call in calls}}
    parts = torch.autograd.grad(
        logits.sum(), list(tensors.values()), retain_graph=True, allow_unused=True
    )
    return {key for key, part in zip(tensors, parts) if part is not None}


def _ambiguous(calls):
    """Parameters of calls that are no layer: a weight that is used in two ways, with two
    biases, or with a bias here and without there; a bias of two weights."""
    uses, weights = {}, {}
    for call in calls:
        uses.setdefault(call.weight, set()).add((call.kind, call.groups, call.bias))
        weights.setdefault(call.bias, set()).add(call.weight)
    several = {weight for weight, found in uses.items() if len(found) > 1}
    return several | {b for b, found in weights.items() if b and len(found) > 1}


def _named_layers(network, calls, reached):
    """Layers of the parameters that were cut off and of those that were reached.

    A `weight` has its module's name, an `x_weight` of it is module.x, others have their
    own; weight and bias of a norm are one layer.
    """
    prefixes = {module: prefix for prefix, module in network.model.named_modules()}
    owners = owning_modules(network.model)
    by_weight = {call.weight: call for call in calls}
    layers = {}
    for parameter in network.parameters:
        module, local = owners[parameter]
        is_usual = local in ("weight", "bias") and prefixes[module]
        name = prefixes[module] if is_usual else parameter.removesuffix("_weight")
        if parameter in by_weight:
            call = by_weight[parameter]
            pair = (parameter, call.bias) if call.bias else (parameter,)
            layer = Layer(name, call.kind, pair, call.groups)
        elif parameter in reached:
            layer = Layer(name, "direct", (parameter,))
        else:
            continue
        other = layers.get(name)
        if other and other.kind == layer.kind == "direct":
            layer = replace(layer, parameters=other.parameters + layer.parameters)
        elif other:
            layer = replace(layer, name=parameter)
        layers[layer.name] = layer
    return list(layers.values())


def sample_arrays(network, sample, layers, classes, form):
    """{layer's entry: {"input", "index", "signal", "direct": array [1, ...]}}."""
    direct = [layer for layer in layers if layer.kind == "direct"]
    whole = [name for layer in direct for name in layer.parameters]
    interceptor = Interceptor(network, whole)
    logits = _chosen(network, interceptor.logits(sample), classes)
    calls = interceptor.calls
    _check_plan(network, layers, logits, calls)
    _refuse_large(network, direct, len(logits))
    signals, others = _derivatives(network, logits, calls, whole)
    arrays = {}
    for layer in layers:
        if layer.kind == "direct":
            rows = torch.cat([others[name] for name in layer.parameters], dim=1)
            arrays[layer.name] = {"direct": rows[None]}
            continue
        own = [n for n, call in enumerate(calls) if call.weight == layer.parameters[0]]
        inputs = torch.cat([calls[n].inputs for n in own])
        signal = torch.cat([signals[n] for n in own], dim=1)
        arrays.update(_factor_arrays(layer, inputs, signal, form))
    return {
        name: {
            part: stored(values) if part == "index" else derivatives(values)
            for part, values in parts.items()
        }
        for name, parts in arrays.items()
    }


def _check_plan(network, layers, logits, calls):
    """A forward pass that branches on its data may use parameters in other ways than
    the one that the layers were made from."""
    entering = _entering(network, logits, calls)
    planned = {(layer.kind, layer.groups, layer.parameters) for layer in layers}
    found = {
        (call.kind, call.groups, (call.weight, call.bias)[: 1 + bool(call.bias)])
        for call in entering.intersection(calls)
    }
    direct = {name for kind, _, names in planned if kind == "direct" for name in names}
    factors = {layer for layer in planned if layer[0] != "direct"}
    others = {names[0] for _, _, names in factors ^ found}
    others |= entering.intersection(network.parameters) - direct
    if others:
        raise ExtractError(
            f"model {network.name}, parameter {sorted(others)[0]}: is used for some "
            "samples only, or in different ways; the tangent kernel cannot be recorded "
            "by layers: record the jacobian instead"
        )


def _derivatives(network, logits, calls, whole):
    """The logits' derivatives: by each call's output, [C, S, out], a list; by each
    parameter of `whole`, [C, q], by name."""
    parameters = [network.parameters[name] for name in whole]
    wanted = [*(call.output for call in calls), *parameters]
    by_class = []
    for logit in logits:
        parts = torch.autograd.grad(logit, wanted, retain_graph=True, allow_unused=True)
        parts = [
            torch.zeros_like(to) if part is None else part.detach()
            for part, to in zip(parts, wanted)
        ]
        by_class.append(
            [_positions(call, part) for call, part in zip(calls, parts)]
            + [dense(part) for part in parts[len(calls) :]]
        )
    stacked = [torch.stack(rows) for rows in zip(*by_class)]
    return stacked[: len(calls)], dict(zip(whole, stacked[len(calls) :]))


def _positions(call, gradient):
    """The derivative by a call's output as [S, out]."""
    if call.kind in CONVOLUTIONS:
        gradient = _batched(gradient, int(call.kind[4])).movedim(1, -1)
    return gradient.reshape(-1, gradient.shape[-1])


def _factor_arrays(layer, inputs, signal, form):
    """{layer's entry: its arrays} from inputs [S, in], or indices [S], and signal
    [C, S, out]."""
    if layer.kind == "embedding":
        return {layer.name: {"index": inputs[None], "signal": signal[None]}}
    inputs = inputs.chunk(layer.groups, dim=1)
    signals = signal.chunk(layer.groups, dim=2)
    width = inputs[0].shape[1] + layer.bias  # parameters by output
    factors = sum(part.numel() for part in (*inputs, *signals))
    if form == "auto" and len(signal) * signal.shape[2] * width < factors:
        product = torch.cat([g.transpose(1, 2) @ x for x, g in zip(inputs, signals)], 1)
        bias = [signal.sum(dim=1)] * layer.bias
        return {layer.name: {"direct": torch.cat([product.flatten(1), *bias], 1)[None]}}
    arrays = {}
    for name, x, g in zip(_entries(layer), inputs, signals):
        if len(x) == 1:
            x, g = x[0], g[:, 0]
        arrays[name] = {"input": x[None], "signal": g[None]}
    return arrays


def check_sample(network, sample, layers, classes, arrays):
    """Compare a combination of the sample's derivatives with autograd's, by layer."""
    logits = _chosen(network, network.logits(sample)[0], classes)
    shares = torch.linspace(1, 2, len(logits), dtype=logits.dtype, device=logits.device)
    expected = network.gradient(shares @ logits).double().cpu().numpy()
    ends = np.cumsum([p.numel() for p in network.parameters.values()])
    by_name = dict(zip(network.parameters, np.split(expected, ends[:-1])))
    least = LEAST_SHARE * np.linalg.norm(expected)
    tolerance = TOLERANCE.get(logits.dtype, HALF_TOLERANCE)
    for layer in layers:
        found = _combined(network, layer, arrays, shares.double().cpu().numpy())
        truth = np.concatenate([by_name.pop(name) for name in layer.parameters])
        error = np.linalg.norm(found - truth)
        if not error <= tolerance * max(np.linalg.norm(truth), least):
            raise ExtractError(
                f"model {network.name}, layer {layer.name}: its derivatives "
                f"({np.linalg.norm(found):.6g}) differ from autograd's "
                f"({np.linalg.norm(truth):.6g}) by {error:.2g}; this network's tangent "
                "kernel cannot be recorded by layers: record the jacobian instead"
            )
    missing = [name for name, part in by_name.items() if part.any()]
    if missing:
        raise ExtractError(
            f"model {network.name}, parameter {missing[0]}: belongs to no layer, but the "
            "logits depend on it; record the jacobian instead"
        )


def _combined(network, layer, arrays, shares):
    """Derivative of the sum of shares * logits by a layer's parameters, from arrays."""

    def combine(values):
        return np.tensordot(shares, values[0].astype(np.float64), 1)

    if "direct" in arrays.get(layer.name, ()):
        return combine(arrays[layer.name]["direct"])
    own = [arrays[name] for name in _entries(layer)]
    signals = [np.atleast_2d(combine(parts["signal"])) for parts in own]
    if layer.kind == "embedding":
        table = np.zeros(network.parameters[layer.parameters[0]].shape)
        np.add.at(table, own[0]["index"][0], signals[0])
        return table.reshape(-1)
    inputs = [np.atleast_2d(parts["input"][0].astype(np.float64)) for parts in own]
    products = [(g.T @ x).reshape(-1) for x, g in zip(inputs, signals)]
    biases = [g.sum(axis=0) for g in signals] * layer.bias
    return np.concatenate(products + biases)


def _entries(layer):
    """Names of a layer's entries when it is recorded by factors."""
    if layer.groups == 1:
        return [layer.name]
    return [f"{layer.name}.group{number}" for number in range(layer.groups)]


def _describe(target, layers, arrays, classes):
    """Make the layers' groups, in their order, with the attribute `bias`."""
    biases = {name: layer.bias for layer in layers for name in _entries(layer)}
    for name, parts in arrays.items():
        bias = 0 if "direct" in parts else biases[name]
        target.set_attributes(f"ntk/{entry_name(name)}", {"bias": bias})
    target.set_attributes("ntk", _class_attribute(classes))


def _append(network, target, arrays, count, dtype):
    """Append one sample's arrays, derivatives in dtype."""
    for name, parts in arrays.items():
        for part, values in parts.items():
            path = f"ntk/{entry_name(name)}/{part}"
            before = target.shape(path)
            if before and before[1:] != values.shape[1:]:
                raise ExtractError(
                    f"model {network.name}, layer {name}: {part} of shape "
                    f"{list(values.shape[1:])} for one sample, {list(before[1:])} for "
                    "those before; the number of positions must not vary"
                )
            numbers = values if part == "index" else rounded(values, dtype)
            target.extend(path, numbers, count)


def _chosen(network, logits, classes):
    """The logits [C] of the chosen classes."""
    if classes is None:
        return logits
    beyond = [c for c in classes if not 0 <= c < len(logits)]
    if beyond or not len(classes):
        raise ExtractError(
            f"model {network.name}: tangent_classes {list(classes)}: expected indices "
            f"from 0 to {len(logits) - 1}"
        )
    return logits[list(classes)]


def _class_attribute(classes):
    return {} if classes is None else {"classes": np.asarray(classes, np.int64)}


def _refuse_large(network, direct, classes):
    """Derivatives of a layer as a whole may be out of all proportion."""
    for layer in direct:
        sizes = [network.parameters[name].numel() for name in layer.parameters]
        if classes * sum(sizes) > DIRECT_NUMBERS:
            raise ExtractError(
                f"model {network.name}, layer {layer.name}: PyTorch's derivatives of "
                f"{classes} classes by {sum(sizes)} parameters would be recorded as a "
                "whole, since not all their uses are linear layers, convolutions or "
                "embeddings; choose fewer classes (tangent_classes)"
            )
