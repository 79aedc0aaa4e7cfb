"""Measures of activations straight from their definitions: cosine and isotropy."""

import numpy as np

from networks import contents
from oracle_pairs import NONFINITE, OK, ZERO_NORM, extended, finite, norm, pairwise


def layers_of(networks, samples=0):
    """{"<model>/<layer>": [n, d] in extended precision}, the first so many samples (0: all)."""
    return {f"{model}/{name}": extended(contents(layer))[: samples or None].reshape(len(contents(layer)[: samples or None]), -1)
            for model, network in networks.items() for name, layer in network.activations.items()}


# cosine


def unit_rows(layer):
    """Rows of length 1."""
    return layer / np.sqrt((layer**2).sum(axis=1, keepdims=True))


def cosine(networks, pairing="flattened", samples=0):
    """1 - <a,b>/(|a||b|) as |a/|a| - b/|b||^2 / 2, which loses nothing for near-equal arrays; by samples the mean of this
    over rows."""
    layers = layers_of(networks, samples)
    arrays = list(layers.values())

    def code(layer):
        if not finite([layer]):
            return NONFINITE
        norms = [norm(layer)] if pairing == "flattened" else [norm(row) for row in layer]
        return OK if min(norms) > 0 else ZERO_NORM

    codes = [code(layer) for layer in arrays]
    units = [None if c else (a / norm(a) if pairing == "flattened" else unit_rows(a)) for a, c in zip(arrays, codes)]

    def pair(i, j):
        squares = ((units[i] - units[j]) ** 2).sum(axis=1) / 2
        return squares.sum() if pairing == "flattened" else squares.mean(), OK

    return pairwise(layers, codes, pair, [a.shape for a in arrays])
