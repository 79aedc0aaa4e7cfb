"""Measures of activations straight from their definitions: cosine and isotropy."""

import numpy as np

from networks import contents
from oracle_pairs import FEW_SAMPLES, NONFINITE, OK, ZERO_NORM, extended, finite, norm, pairwise

RANK_DEFICIENT = 6


def layers_of(networks, samples=0):
    """{"<model>/<layer>": [n, d] in extended precision}, the first so many samples (0: all)."""
    arrays = {f"{model}/{name}": contents(layer)[: samples or None]
              for model, network in networks.items() for name, layer in network.activations.items()}
    return {name: extended(array).reshape(len(array), -1) for name, array in arrays.items()}


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


# isotropy


def singular_values(layer):
    """Of the centred layer, in double."""
    X = np.asarray(contents(layer), dtype=np.float64)
    X = X.reshape(len(X), -1)
    return np.linalg.svd(X - X.mean(axis=0), compute_uv=False)


def spectrum_of(layer):
    """(code, I, rank, effective rank) of a layer [n, ...]."""
    array = np.asarray(contents(layer))
    n, d = len(array), array[0].size
    if n < 4:
        return FEW_SAMPLES, np.nan, np.nan, np.nan
    if not finite([array]):
        return NONFINITE, np.nan, np.nan, np.nan
    if (array == array[0]).all():
        return ZERO_NORM, np.nan, np.nan, np.nan
    s = singular_values(array)
    s = s[: n - 1][s[: n - 1] > max(n, d) * 2.0**-52 * s[0]]
    eigenvalues = (s / s[0]) ** 2
    effective = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    return (RANK_DEFICIENT if len(s) < d else OK), 1 / eigenvalues[-1], len(s), effective


def isotropy(networks, samples=0):
    """|log I_i - log I_j|, I = largest over smallest covariance eigenvalue within the numerical rank."""
    layers = {f"{model}/{name}": contents(layer)[: samples or None]
              for model, network in networks.items() for name, layer in network.activations.items()}
    spectra = [spectrum_of(layer) for layer in layers.values()]
    codes = [OK if code == RANK_DEFICIENT else code for code, *_ in spectra]

    def pair(i, j):
        return abs(np.log(spectra[i][1]) - np.log(spectra[j][1])), max(spectra[i][0], spectra[j][0])

    kept = {name: np.array([spectrum[1 + k] for spectrum in spectra], dtype=float)
            for k, name in enumerate(("I", "rank", "effective_rank"))}
    return pairwise(layers, codes, pair, kept=kept)
