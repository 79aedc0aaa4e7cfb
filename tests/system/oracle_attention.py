"""Measures of attention and of margins straight from their definitions: attention_kl, cross_attention, head_importance and
boundary."""

import numpy as np
from scipy import stats

from networks import contents
from oracle_pairs import ABSENT, EXTENDED, MISFIT, NONFINITE, OK, ZERO_NORM, extended, finite, norm, pairwise

NO_SUPPORT = 5


def arrays_of(networks, kind, samples=0):
    """{"<model>/<layer>": array in extended precision}, the first so many samples (0: all)."""
    return {f"{model}/{name}": extended(contents(array))[: samples or None]
            for model, network in networks.items() for name, array in getattr(network, kind).items()}


# attention_kl


def divergence(a, b):
    """sum over the last axis of a log(a/b), 0 log 0 = 0, mean over the others; the logarithm of near-equal numbers is
    that of 1 + (a-b)/b."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(a > 0, a * np.where(abs(a - b) < b / 2, np.log1p((a - b) / b), np.log(a / b)), 0)
    return terms.sum(axis=-1).mean()


def attention_kl(networks, per="layer", floor=0, samples=0):
    """[n, heads, queries, keys] of layers, or [n, queries, keys] of heads."""
    arrays = arrays_of(networks, "attention", samples)
    if per == "head":
        arrays = {f"{name}/{head}": array[:, head] for name, array in arrays.items() for head in range(array.shape[1])}
    items = list(arrays.values())
    codes = [OK if finite([item]) and (item >= 0).all() else NONFINITE for item in items]
    items = [(1 - EXTENDED(floor)) * item + EXTENDED(floor) / item.shape[-1] for item in items]

    def pair(i, j):
        if i == j:
            return 0, OK
        value = divergence(items[i], items[j])
        return (np.inf, NO_SUPPORT) if np.isinf(value) else (value, OK)

    return pairwise(arrays, codes, pair, [item.shape for item in items])


# cross_attention


def overlaps(cells, new):
    """[new, cells]: the length that each of `new` equal parts of [0, 1] has in common with each of `cells`, by integrals
    of indicator functions over all ends of either."""
    ends = np.unique(np.concatenate([EXTENDED(k) / cells + np.zeros(1) for k in range(cells + 1)]
                                    + [EXTENDED(k) / new + np.zeros(1) for k in range(new + 1)]))
    lengths, middles = np.diff(ends), (ends[1:] + ends[:-1]) / 2
    part = np.zeros((new, cells), EXTENDED)
    for length, middle in zip(lengths, middles):
        part[int(middle * new), int(middle * cells)] += length
    return part


def resampled(maps, grid):
    """Maps [..., h, w] averaged over the areas of a grid's cells."""
    rows, columns = overlaps(maps.shape[-2], grid[0]) * grid[0], overlaps(maps.shape[-1], grid[1]) * grid[1]
    return np.einsum("ah,bw,...hw->...ab", rows, columns, maps)


def cross_attention(networks, grid=None, samples=0):
    arrays = arrays_of(networks, "cross_attention", samples)
    items = list(arrays.values())

    def code(item):
        if not finite([item]):
            return NONFINITE
        return OK if (abs(item).sum(axis=(-2, -1)) > 0).all() else ZERO_NORM

    def pair(i, j):
        if i == j:
            return 1, OK
        common = grid or [min(items[i].shape[axis], items[j].shape[axis]) for axis in (-2, -1)]
        a, b = (resampled(items[k], common).reshape(*items[k].shape[:2], -1) for k in (i, j))
        return ((a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))).mean(), OK

    return pairwise(arrays, [code(item) for item in items], pair, [item.shape[:2] for item in items])


# head_importance


def quantile_distance(x, y):
    """The integral of the squared difference of two quantile functions, between all places where either steps."""
    x, y = np.sort(x), np.sort(y)
    places = sorted({*np.arange(len(x) + 1) * len(y), *np.arange(len(y) + 1) * len(x)})
    total = EXTENDED(0)
    for start, end in zip(places[:-1], places[1:]):
        total += EXTENDED(end - start) / (len(x) * len(y)) * (x[start // len(y)] - y[start // len(x)]) ** 2
    return np.sqrt(total)


def head_importance(networks, form="l2"):
    models = [[extended(contents(layer)) for layer in network.head_importance.values()] for network in networks.values()]

    def code(layers):
        if not layers:
            return ABSENT
        if not finite(layers):
            return NONFINITE
        constant = form == "spearman" and len({*np.concatenate(layers)}) == 1
        zero = form == "l2" and min(norm(layer) for layer in layers) == 0
        return ZERO_NORM if constant or zero else OK

    def pair(i, j):
        a, b = (np.concatenate(models[k]) for k in (i, j))
        if form == "quantile":
            return quantile_distance(a, b), OK
        if form == "spearman":
            return 1 - stats.spearmanr(a.astype(float), b.astype(float))[0] if i != j else 0, OK
        a, b = (np.concatenate([layer / norm(layer) for layer in models[k]]) for k in (i, j))
        return norm(a - b), OK

    shapes = [[len(layer) for layer in layers] if layers and form != "quantile" else None for layers in models]
    return pairwise(networks, [code(layers) for layers in models], pair, shapes)


# boundary


def margins_of(network, samples=0):
    """Margins [n] and a status code."""
    if network.logits is None or network.margin_gradients is None:
        return None, ABSENT
    logits, gradients = (extended(contents(a))[: samples or None] for a in (network.logits, network.margin_gradients))
    if logits.shape != gradients.shape:
        return None, MISFIT
    margins, code = [], OK
    for f, g in zip(logits, gradients):
        top = int(np.argmax(f))
        others = [k for k in range(len(f)) if k != top and not np.isnan(g[k])]
        if not finite([f]) or any(np.isinf(g[k]) for k in others):
            return None, NONFINITE
        if not others:
            return None, ABSENT
        steep = [(f[top] - f[k]) / g[k] for k in others if g[k] > 0]
        if not steep:
            code = ZERO_NORM
        margins.append(min(steep, default=EXTENDED(0)))
        if margins[-1] > np.finfo(np.float64).max:
            return None, NONFINITE
    return np.array(margins), code


def boundary(networks, samples=0):
    margins, codes = zip(*(margins_of(network, samples) for network in networks.values()))

    def pair(i, j):
        return np.sqrt(((margins[i] - margins[j]) ** 2).mean()), OK

    return pairwise(networks, codes, pair, [None if m is None else len(m) for m in margins])
