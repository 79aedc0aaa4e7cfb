"""Distances of weights straight from their definitions: weight_frobenius and path_norm.

A convolution is written out as the matrix of its operator, entry by entry, and so are all paths through a chain.
"""

from itertools import product

import numpy as np

from networks import attribute, contents
from oracle_pairs import ABSENT, EXTENDED, MISFIT, NONFINITE, OK, ZERO_NORM, extended, finite, norm, pairwise, undefined


def weight_code(weights):
    """Status of a model's own weights, {name: array}."""
    if not weights:
        return ABSENT
    return OK if finite(weights.values()) else NONFINITE


# weight_frobenius


def weight_frobenius(networks, relative=0, per="model"):
    if per == "matrix":
        items = {f"{model}/{name}": {"": contents(array)}
                 for model, network in networks.items() for name, array in network.weights.items()}
    else:
        items = {model: {name: contents(array) for name, array in network.weights.items()}
                 for model, network in networks.items()}
    weights = list(items.values())
    shapes = [{name: array.shape for name, array in own.items()} or None for own in weights]
    norms = [np.sqrt(sum((norm(array) ** 2 for array in own.values()), EXTENDED(0))) for own in weights]

    def pair(i, j):
        a, b = weights[i], weights[j]
        distance = np.sqrt(sum(norm(extended(a[name]) - extended(b[name])) ** 2 for name in a))
        if not relative:
            return distance, OK
        mean = (norms[i] + norms[j]) / 2
        return (distance / mean, OK) if mean > 0 else undefined(ZERO_NORM)

    return pairwise(items, [weight_code(own) for own in weights], pair, shapes)


# path_norm


def kind_of(array):
    """The attribute `kind`, or what stands for it where it is absent."""
    return attribute(array, "kind", {2: "linear", 4: "conv", 1: "bias"}.get(contents(array).ndim, "other"))


def two(value):
    """An integer for both axes, or one for each."""
    return tuple(int(v) for v in np.broadcast_to(value, 2))


def padding_of(array):
    """(top, bottom, left, right)."""
    padding = np.atleast_1d(attribute(array, "padding", 0))
    if len(padding) == 4:
        return tuple(int(p) for p in padding)
    vertical, horizontal = two(padding if len(padding) == 2 else padding[0])
    return vertical, vertical, horizontal, horizontal


def convolution_matrix(array):
    """[out p q, in h w]: the cross-correlation y[o,p,q] = sum W[o,i,a,b] x[i, p s + a d - top, q s + b d - left] with
    zeros around x, or x repeated around itself."""
    W = contents(array).astype(np.float64)
    out, per_group, kernel_h, kernel_w = W.shape
    groups = int(attribute(array, "groups", 1))
    height, width = two(attribute(array, "input_size"))
    stride, dilation = two(attribute(array, "stride", 1)), two(attribute(array, "dilation", 1))
    top, bottom, left, right = padding_of(array)
    circular = attribute(array, "padding_mode", "zeros") == "circular"
    rows = (height + top + bottom - dilation[0] * (kernel_h - 1) - 1) // stride[0] + 1
    columns = (width + left + right - dilation[1] * (kernel_w - 1) - 1) // stride[1] + 1
    matrix = np.zeros((out, rows, columns, per_group * groups, height, width))
    for p, q, a, b in product(range(rows), range(columns), range(kernel_h), range(kernel_w)):
        y, x = p * stride[0] + a * dilation[0] - top, q * stride[1] + b * dilation[1] - left
        if circular:
            y, x = y % height, x % width
        if 0 <= y < height and 0 <= x < width:
            for o in range(out):
                first = o // (out // groups) * per_group
                matrix[o, p, q, first:first + per_group, y, x] += W[o, :, a, b]
    return matrix.reshape(out * rows * columns, -1)


def largest_singular_value(matrix):
    """Of a matrix of any magnitude."""
    scale = np.abs(matrix).max()
    return EXTENDED(scale) * np.linalg.svd(matrix / scale, compute_uv=False)[0] if scale > 0 else EXTENDED(0)


def operator_norm(array):
    if kind_of(array) == "conv":
        return largest_singular_value(convolution_matrix(array))
    return largest_singular_value(contents(array).astype(np.float64))


def spectral_log(arrays):
    """Sum of the logarithms of the operator norms of linear and conv weights; status."""
    if any(kind_of(array) == "conv" and
           (attribute(array, "input_size") is None or attribute(array, "padding_mode", "zeros") not in ("zeros", "circular"))
           for array in arrays):
        return undefined(ABSENT)
    norms = [operator_norm(array) for array in arrays]
    return (sum(np.log(s) for s in norms), OK) if all(norms) else undefined(ZERO_NORM)


def path_log(arrays, power):
    """log of (sum over paths of the product of |w|^power)^(1/power) through a chain of linear weights; status."""
    if any(kind_of(array) == "conv" for array in arrays):
        return undefined(MISFIT)
    sums, log = None, EXTENDED(0)
    for array in arrays:
        W = np.abs(extended(contents(array))) ** power
        if sums is not None and len(sums) != W.shape[1]:
            return undefined(MISFIT)
        sums = W.sum(axis=1) if sums is None else W @ sums
        total = sums.sum()
        if total == 0:
            return undefined(ZERO_NORM)
        sums, log = sums / total, log + np.log(total)
    return log / power, OK


def path_norm(networks, norm="spectral"):
    logs, codes = [], []
    for network in networks.values():
        arrays = [array for array in network.weights.values() if kind_of(array) in ("linear", "conv")]
        code = weight_code({k: contents(array) for k, array in enumerate(arrays)})
        log = np.nan
        if code == OK:
            log, code = spectral_log(arrays) if norm == "spectral" else path_log(arrays, int(norm[-1]))
        logs.append(log)
        codes.append(code)
    logs = np.array(logs, dtype=EXTENDED)
    with np.errstate(over="ignore"):
        kept = {"log_value": logs.astype(float), "value": np.exp(logs).astype(float)}
    return pairwise(networks, codes, lambda i, j: (abs(logs[i] - logs[j]), OK), kept=kept)
