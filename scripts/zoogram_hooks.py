"""Recording what the modules of a PyTorch model give in a forward pass."""

import dataclasses
import fnmatch
from contextlib import contextmanager

import numpy as np
import torch

from zoogram_batches import first_tensor
from zoogram_zoo import ExtractError, Recorded

DTYPES = {"float16": torch.float16, "float32": torch.float32}
TOKEN_RULES = ("flatten", "mean", "first")


@dataclasses.dataclass(frozen=True)
class Reduction:
    """How maps and tokens become rows of features; rules as in zoogram_extract.py."""

    maps: str
    tokens: str
    dtype: str

    def __post_init__(self):
        name, _, size = self.maps.partition(":")
        has_size = size.isdigit() and int(size) > 0
        if self.maps not in ("flatten", "pool") and not (name == "pool" and has_size):
            raise ExtractError(
                f"maps {self.maps!r}: expected flatten, pool or pool:K, K > 0"
            )
        if self.tokens not in TOKEN_RULES:
            choices = ", ".join(TOKEN_RULES)
            raise ExtractError(f"tokens {self.tokens!r}: expected one of {choices}")
        if self.dtype not in DTYPES:
            raise ExtractError(
                f"dtype {self.dtype!r}: expected one of {', '.join(DTYPES)}"
            )

    def rule(self, ndim):
        """Name of the rule for a tensor of ndim axes."""
        return {3: self.tokens, 4: self.maps}.get(ndim, "flatten")

    def apply(self, tensor):
        """Real tensor [n, ...] -> numpy rows [n, d] of dtype that own their data.

        Raises OverflowError with the largest magnitude if dtype cannot hold it.
        """
        values = tensor.detach()
        if values.dtype != torch.float64:  # half types lack operations on CPUs
            values = values.to(torch.float32)
        rule = self.rule(values.ndim)
        if rule == "mean":
            values = values.mean(dim=1)
        elif rule == "first":
            values = values[:, 0]
        elif rule.startswith("pool"):
            size = int(rule.partition(":")[2] or 1)
            values = torch.nn.functional.adaptive_avg_pool2d(
                values, [min(size, extent) for extent in values.shape[2:]]
            )
        values = values.reshape(len(values), -1)
        self._check_range(values)
        return values.to(device="cpu", dtype=DTYPES[self.dtype], copy=True).numpy()

    def _check_range(self, values):
        finite = torch.where(torch.isfinite(values), values, torch.zeros_like(values))
        largest = float(finite.abs().max()) if finite.numel() else 0.0
        if largest > torch.finfo(DTYPES[self.dtype]).max:
            raise OverflowError(largest)


class Recorder:
    """Forward hooks on chosen modules, set on entering and removed on leaving."""

    def __init__(self, model_name, modules, reduction):
        """modules: {dotted name: module}; model_name is for messages."""
        self.layers = {}  # {layer: Recorded} of the last forward pass, in order
        self.executed = set()  # dotted names seen so far
        self._model_name = model_name
        self._modules = modules
        self._reduction = reduction
        self._batch = 0
        self._calls = {}
        self._handles = []

    def __enter__(self):
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(self._hook(name)))
        return self

    def __exit__(self, *_):
        for handle in self._handles:
            handle.remove()

    def begin(self, batch):
        """Forget the last forward pass; the next one has this many samples."""
        self._batch = batch
        self._calls = {}
        self.layers = {}

    @property
    def is_idle(self):
        """Whether there are modules, and the last forward pass ran none of them."""
        return bool(self._modules) and not self.layers

    def _hook(self, name):
        def record(module, _inputs, output):
            self._calls[name] = self._calls.get(name, 0) + 1
            call = self._calls[name]
            self.executed.add(name)
            layer = name if call == 1 else f"{name}:{call}"
            self.layers[layer] = self._take(layer, name, module, output)

        return record

    def _take(self, layer, name, module, output):
        where = f"model {self._model_name}, layer {layer}"
        tensor = first_tensor(output)
        if tensor is None:
            raise ExtractError(
                f"{where}: no tensor in the output ({type(output).__name__})"
            )
        if tensor.is_complex():
            raise ExtractError(f"{where}: complex numbers cannot be recorded")
        if tensor.ndim == 0 or len(tensor) != self._batch:
            raise ExtractError(
                f"{where}: output of shape {list(tensor.shape)} for a batch of "
                f"{self._batch} samples; the first axis must be the batch"
            )
        try:
            rows = self._reduction.apply(tensor)
        except OverflowError as error:
            raise ExtractError(
                f"{where}: the magnitude {error.args[0]:g} is beyond "
                f"{self._reduction.dtype}'s largest number "
                f"({torch.finfo(DTYPES[self._reduction.dtype]).max:g})"
            ) from None
        return Recorded(
            rows,
            {
                "module": name,
                "module_class": type(module).__name__,
                "shape": np.asarray(tensor.shape[1:], dtype=np.int64),
                "reduction": self._reduction.rule(tensor.ndim),
            },
        )


def select_modules(model, layers, exclude=()):
    """Modules whose dotted name matches a pattern of `layers` and none of `exclude`.

    Returns {name: module} in the order of named_modules().
    """
    named = {name: module for name, module in model.named_modules() if name}
    for pattern in layers:
        if not fnmatch.filter(named, pattern):
            known = ", ".join(list(named)[:20]) + (" ..." if len(named) > 20 else "")
            raise ExtractError(
                f"no layer matches {pattern!r}; there are: {known or 'none'}"
            )
    chosen = {
        name: module
        for name, module in named.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in layers)
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in exclude)
    }
    if not chosen:
        raise ExtractError("no layer is left after the excluding patterns")
    return chosen


@contextmanager
def inference(model):
    """Evaluation mode without gradients; every module's own mode is restored."""
    with evaluation(model), torch.no_grad():
        yield


@contextmanager
def evaluation(model):
    """Evaluation mode, every module called; every module's own mode is restored."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with _unfused(model):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _unfused(model):
    """Keep torch's transformer layers off their fused path, which calls no hooks."""
    if hasattr(torch.backends, "mha"):
        enabled = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(enabled)
        return
    # Before torch 2.1 there is no switch, but a layer whose activation is not marked as
    # relu (1) or gelu (2) takes the ordinary path; the activation itself stays.
    layers = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.TransformerEncoderLayer)
    ]
    marks = [layer.activation_relu_or_gelu for layer in layers]
    for layer in layers:
        layer.activation_relu_or_gelu = 0
    try:
        yield
    finally:
        for layer, mark in zip(layers, marks):
            layer.activation_relu_or_gelu = mark
