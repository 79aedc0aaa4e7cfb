"""Recording attention: its maps, cross attention on a grid, importance of heads.

How.  A network is watched while it runs.  An attention map is what one of three gives:
torch.nn.MultiheadAttention, which is asked for the weights of each head;
torch.nn.functional.scaled_dot_product_attention, which is replaced by plain operations
for that time; any module whose output is, or has among its parts, a tensor [batch,
heads, queries, keys] of numbers that are not negative and whose rows sum to 1: a
softmax, the dropout after it, or an attention layer that returns its weights, as those
of Hugging Face do (they are switched to eager attention, and back).  A map is named
after the innermost module that gives it, or that calls the function or the module
without parameters that does.
"""

import fnmatch
import inspect
import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zoogram_batches import tensors_of
from zoogram_network import rounded, stored, substituted
from zoogram_zoo import ExtractError, entry_name

# Names by which libraries call the layers that attend to something else than themselves.
CROSS_LAYERS = ("*cross*", "*encoder_attn*", "*EncDecAttention*", "*multihead_attn*")
CROSS_LAYERS += ("*attn2*",)
OVER = ("keys", "queries")
# How far from 1 the sum of a row may be by rounding.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
HALF_TOLERANCE = 2e-2


def record_attention(network, target, loader, count, layers=("*",), dtype="auto"):
    """Write attention/<layer> [m, heads, queries, keys] of the first `count` samples.

    layers: shell patterns over the names of the maps.  dtype: of the stored numbers; in
    float16 weights below 6e-8 become 0.
    """
    for found in _maps_of_batches(network, loader, count, layers):
        for attention in found:
            weights = stored(attention.weights)
            _append(target, "attention", attention, rounded(weights, dtype), count)


def record_cross_attention(
    network, target, loader, count, layers=CROSS_LAYERS, grid=None, over="keys"
):
    """Write cross_attention/<layer> [m, tokens, h, w] of the first `count` samples.

    A map is the mean over heads, laid out on a grid and divided by its sum.  over:
    "keys", the grid is what is attended to and tokens are the queries (object queries,
    words of a decoder); "queries", the other way round (words that steer an image).
    grid: (h, w); None: the square of all positions.  Positions in excess are left out
    from the front: class tokens and registers.
    """
    for found in _maps_of_batches(network, loader, count, layers):
        for attention in found:
            weights = attention.weights.double().mean(dim=1)
            weights = weights if over == "keys" else weights.transpose(1, 2)
            maps = _on_grid(network, attention.layer, weights, grid)
            rows = stored(maps).astype(np.float32)
            _append(target, "cross_attention", attention, rows, count)


def record_head_importance(network, target, loader, layers=("*",), limit=None):
    """Write head_importance/<layer> [heads]: the mean over samples of abs(d loss / d
    mask), where the mask multiplies what a head passes on, and is 1 (Michel, Levy and
    Neubig 2019, Are sixteen heads really better than one?, equation 2).
    """
    totals, count = {}, 0
    for batch in network.batches(loader, limit):
        with Watcher(network, batch.size, layers) as watcher:
            loss = network.sample_losses(batch).sum()
        for attention, change in zip(watcher.found, _changes(network, loss, watcher)):
            before = totals.get(attention.layer, 0)
            totals[attention.layer] = before + change.abs().double().sum(dim=0)
        count += batch.size
    for layer, total in totals.items():
        target.write(f"head_importance/{entry_name(layer)}", stored(total / count))


@dataclass(frozen=True, eq=False)
class Attention:
    """What one call of an attention layer gave.

    carrier is a tensor of the graph that is proportional to each head's mask, and
    by_head(values like it) sums them for every sample and head, [b, heads].
    """

    layer: str
    module_class: str
    weights: torch.Tensor  # [b, heads, queries, keys]
    carrier: torch.Tensor
    by_head: object


class Watcher:
    """Finds the attention maps of a forward pass that is made within its context.

    found: list of Attention in the order of the calls; those of chosen layers only.
    Leaving without an exception raises ExtractError where there is none.
    """

    def __init__(self, network, size, layers=("*",)):
        """size: number of samples in the batch."""
        self.found = []
        self._network = network
        self._size = size
        self._patterns = layers
        self._all = []  # maps of all layers: kept alive, so that each has a place
        self._calls = {}
        self._running = []  # (name, module), outermost first
        self._undo = ExitStack()

    def __enter__(self):
        with ExitStack() as undo:
            undo.enter_context(eager(self._network.model))
            for name, module in self._network.model.named_modules():
                self._watch(undo, name, module)
            undo.enter_context(substituted(functional, **self._explicit()))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind, *_):
        self._undo.close()
        if kind is None:
            self._check()

    def _watch(self, undo, name, module):
        """Note when a module runs, and what it gives."""

        def enter(module, _inputs):
            self._running.append((name, module))

        def leave(module, _inputs, output):
            layer = self._running.pop()
            if next(module.parameters(), None) is None and self._running:
                layer = self._running[-1]
            for tensor in tensors_of(output):
                if is_attention(tensor, self._size):
                    self._note(*layer, tensor)

        for handle in (
            module.register_forward_pre_hook(enter),
            module.register_forward_hook(leave),
        ):
            undo.callback(handle.remove)
        if isinstance(module, nn.MultiheadAttention):
            if "average_attn_weights" in inspect.signature(module.forward).parameters:
                forward = self._multihead(name, module)
                undo.enter_context(substituted(module, forward=forward))

    def _multihead(self, name, module):
        """The module's forward, which also notes every head's weights."""
        original = module.forward
        signature = inspect.signature(original)

        def forward(*args, **kwargs):
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            wanted = given.arguments["need_weights"]
            average = given.arguments["average_attn_weights"]
            given.arguments.update(need_weights=True, average_attn_weights=False)
            contexts = []
            linear = functional.linear

            def noting(input, weight, bias=None):
                if weight is module.out_proj.weight:
                    contexts.append(input)
                return linear(input, weight, bias)

            with substituted(functional, linear=noting):
                output, weights = original(*given.args, **given.kwargs)
            self._note(name, module, weights, *_context(contexts, weights))
            if not wanted:
                return output, None
            return output, weights.mean(dim=-3) if average else weights

        return forward

    def _explicit(self):
        """{name: replacement} of the fused kernel, where PyTorch has one."""
        if not hasattr(functional, "scaled_dot_product_attention"):
            return {}  # before PyTorch 2

        def attention(
            query,
            key,
            value,
            attn_mask=None,
            dropout_p=0.0,
            is_causal=False,
            scale=None,
            enable_gqa=False,
        ):
            if enable_gqa:  # several heads of queries share one of keys and values
                share = query.shape[-3] // key.shape[-3]
                key, value = (p.repeat_interleave(share, -3) for p in (key, value))
            weights = explicit_weights(query, key, attn_mask, is_causal, scale)
            heads = weights.flatten(1, -3) if weights.ndim > 3 else weights[:, None]
            self._note(*self._running[-1], heads, weights)
            return functional.dropout(weights, dropout_p) @ value

        return {"scaled_dot_product_attention": attention}

    def _note(self, name, module, weights, carrier=None, by_head=None):
        """Keep a map, unless a module inside of this one has given it already."""
        key = weights.data_ptr(), weights.shape
        if any(key == (other.data_ptr(), other.shape) for other in self._all):
            return
        self._all.append(weights)
        self._calls[name] = self._calls.get(name, 0) + 1
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in self._patterns):
            return
        call = self._calls[name]
        layer = (name or "attention") + (f":{call}" if call > 1 else "")
        self._refuse_shape(layer, weights)
        carrier = weights if carrier is None else carrier
        by_head = by_head or (lambda values: _sums(values, weights.shape[:2]))
        kind = type(module).__name__
        self.found.append(Attention(layer, kind, weights, carrier, by_head))

    def _refuse_shape(self, layer, weights):
        where = f"model {self._network.name}, layer {layer}"
        if weights.ndim != 4 or len(weights) != self._size:
            raise ExtractError(
                f"{where}: attention of shape {list(weights.shape)} for {self._size} "
                "samples; expected [samples, heads, queries, keys]; windows of a sample "
                "cannot be recorded: leave the layer out (attention_layers)"
            )
        if not rows_sum_to_one(weights):
            raise ExtractError(
                f"{where}: rows of the attention do not sum to 1; is every key of some "
                "query masked, or is there dropout in evaluation mode?"
            )

    def _check(self):
        """Some pattern needs a layer."""
        seen = list(self._calls)
        if self.found:
            return
        if seen:
            raise ExtractError(
                f"model {self._network.name}: no attention layer matches "
                f"{' '.join(self._patterns)}; there are: {', '.join(seen[:20])}"
            )
        raise ExtractError(
            f"model {self._network.name}: gave no attention map: a fused kernel or a "
            "compiled module hides it, or it has no attention; make the model with "
            "eager attention (attn_implementation='eager', fused_attn off), or let its "
            "softmax be a torch.nn.Softmax"
        )


@contextmanager
def eager(model):
    """Hugging Face's modules by their eager attention, which returns its weights."""
    configs = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        if hasattr(config, "_attn_implementation"):
            configs[id(config)] = config
    before = [(config, config._attn_implementation) for config in configs.values()]
    returned = [
        (config, config.output_attentions)
        for config in configs.values()
        if hasattr(config, "output_attentions")
    ]
    try:
        for config in configs.values():
            config._attn_implementation = "eager"
        for config, _ in returned:
            config.output_attentions = True  # older versions return them on request
        yield
    finally:
        for config, value in returned:
            config.output_attentions = value
        for config, value in before:
            config._attn_implementation = value


def explicit_weights(query, key, mask=None, is_causal=False, scale=None):
    """softmax(query key' scale + mask), [..., queries, keys]; a mask of truth values
    says what takes part.  scale: default one over the root of the width."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = query @ key.transpose(-2, -1) * scale
    if is_causal:
        ones = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(~ones.tril(), -math.inf)
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -math.inf)
    elif mask is not None:
        scores = scores + mask
    return scores.softmax(dim=-1)


def is_attention(tensor, size):
    """Whether a tensor has the shape and the numbers of `size` samples' attention, or of
    several windows of each sample."""
    if tensor.ndim != 4 or len(tensor) % size or tensor.shape[-1] < 2:
        return False
    if not tensor.is_floating_point() or not tensor.numel():
        return False
    # One sample tells most other tensors apart.
    return rows_sum_to_one(tensor[:1]) and rows_sum_to_one(tensor)


def rows_sum_to_one(weights):
    """Whether no number is negative and each row's sum is 1."""
    values = weights.detach()
    off = (values.double().sum(dim=-1) - 1).abs().max()
    limit = TOLERANCE.get(values.dtype, HALF_TOLERANCE)
    return bool(off <= limit) and bool(values.min() >= 0)


def _context(contexts, weights):
    """What carries the heads of torch.nn.MultiheadAttention: the input of its output
    projection, [queries * b, heads * width]; the weights that it returns are a copy."""
    if len(contexts) != 1 or weights.ndim != 4:
        return None, None
    size, heads, queries, _ = weights.shape
    shape = queries, size, heads, -1
    return contexts[0], lambda values: values.reshape(shape).sum(dim=(0, 3))


def _sums(values, shape):
    return values.reshape(*shape, -1).sum(dim=-1)


def _changes(network, loss, watcher):
    """d loss / d mask, [b, heads] for each map found; the loss is a sum over samples."""
    carriers = [attention.carrier for attention in watcher.found]
    if not loss.requires_grad:
        parts = [None] * len(carriers)
    else:
        parts = torch.autograd.grad(loss, carriers, allow_unused=True)
    for attention, part in zip(watcher.found, parts):
        if part is None:
            raise ExtractError(
                f"model {network.name}, layer {attention.layer}: the loss does not "
                "depend on the attention in a way that PyTorch can differentiate"
            )
        yield attention.by_head(attention.carrier.detach() * part)


def _maps_of_batches(network, loader, count, layers):
    """For each batch of the first `count` samples the list of its Attention."""
    names = None
    for batch in network.batches(loader, count):
        with torch.no_grad(), Watcher(network, batch.size, layers) as watcher:
            network(batch)
        found = [attention.layer for attention in watcher.found]
        names = found if names is None else names
        if found != names:
            other = sorted(set(found) ^ set(names))[:1] or found[:1]
            raise ExtractError(
                f"model {network.name}, layer {other[0]}: gave attention for some "
                "batches only"
            )
        yield watcher.found


def _append(target, group, attention, rows, count):
    """Append one batch's maps of a layer."""
    path = f"{group}/{entry_name(attention.layer)}"
    before = target.shape(path)
    if before and before[1:] != rows.shape[1:]:
        raise ExtractError(
            f"model {target.name}, layer {attention.layer}: attention of shape "
            f"{list(rows.shape[1:])} in one batch, {list(before[1:])} before; give all "
            "batches the same length"
        )
    target.extend(path, rows, count, {"module_class": attention.module_class})


def _on_grid(network, layer, weights, grid):
    """Weights [b, tokens, positions] -> maps [b, tokens, h, w] of sum 1."""
    where = f"model {network.name}, layer {layer}"
    positions = weights.shape[2]
    side = math.isqrt(positions)
    if grid is None and side * side != positions:
        raise ExtractError(
            f"{where}: {positions} positions are no square; give the grid"
        )
    height, width = grid or (side, side)
    if height * width > positions:
        raise ExtractError(
            f"{where}: a grid of {height} x {width} for {positions} positions; is it the "
            "other axis that has the grid (over keys or queries)?"
        )
    maps = weights[:, :, positions - height * width :]
    sums = maps.sum(dim=2, keepdim=True)
    if not bool((sums > 0).all()):
        sample, token, _ = (~(sums > 0)).nonzero()[0].tolist()
        raise ExtractError(
            f"{where}: token {token} of a batch's sample {sample} has no attention on the "
            "grid, so that its map cannot be given the sum 1"
        )
    return (maps / sums).reshape(*maps.shape[:2], height, width)
