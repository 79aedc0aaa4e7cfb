"""tsne_error straight from its definition."""

import numpy as np

from networks import contents
from oracle_pairs import ABSENT, FEW_SAMPLES, MISFIT, NONFINITE, NOT_CONVERGED, OK, ZERO_NORM, finite, pairwise

DENSE = 5000


def squared_distances(X):
    """By direct difference, a row at a time."""
    return np.array([((X - x) ** 2).sum(axis=1) for x in X])


def conditional(distances, perplexity):
    """exp(-beta d) / sum of the entropy log(perplexity), by bisection in log beta; uniform where all are equal."""
    if distances.max() - distances.min() <= 1e-12 * distances.max():
        return np.full(len(distances), 1 / len(distances))
    shifted = (distances - distances.min()) / (distances.max() - distances.min())
    low, high = -50.0, np.log(1e10)
    for _ in range(100):
        middle = (low + high) / 2
        p = np.exp(-np.exp(middle) * shifted)
        p /= p.sum()
        entropy = -(p[p > 0] * np.log(p[p > 0])).sum()
        low, high = (middle, high) if entropy > np.log(perplexity) else (low, middle)
    assert abs(entropy - np.log(perplexity)) < 1e-9, (entropy, perplexity)
    return p


def joint(X, perplexity):
    """P [n, n], the diagonal 0."""
    n = len(X)
    P = np.zeros((n, n))
    D = squared_distances(X)
    for i in range(n):
        others = np.delete(np.arange(n), i)
        if n > DENSE:
            others = others[np.argsort(D[i, others], kind="stable")[: int(3 * perplexity)]]
        P[i, others] = conditional(D[i, others], perplexity)
    return (P + P.T) / (2 * n)


def map_similarities(Y):
    """Q [n, n], the diagonal 0."""
    W = 1 / (1 + squared_distances(Y))
    np.fill_diagonal(W, 0)
    return W / W.sum()


def divergence(P, Q):
    used = P > 0
    return (P[used] * np.log(P[used] / Q[used])).sum()


def tsne_error(networks, perplexity=30, samples=0):
    layers = {f"{model}/{name}": (layer, network.maps.get(name))
              for model, network in networks.items() for name, layer in network.activations.items()}
    codes, prepared, counts = [], [], []
    for layer, points in layers.values():
        X, Y = (None if a is None else np.asarray(contents(a), dtype=float)[: samples or None] for a in (layer, points))
        X = X.reshape(len(X), -1)
        counts.append(None if Y is None else len(X))
        code = item_code(X, Y, perplexity)
        codes.append(code)
        prepared.append(None if code else (joint(X, perplexity), map_similarities(Y)))
    return pairwise(layers, codes, lambda i, j: (divergence(prepared[i][0], prepared[j][1]), OK), counts)


def item_code(X, Y, perplexity):
    if Y is None:
        return ABSENT
    if not finite([X, Y]):
        return NONFINITE
    if len(X) != len(Y):
        return MISFIT
    if perplexity >= len(X) - 1:
        return FEW_SAMPLES
    if (X == X[0]).all():
        return ZERO_NORM
    nearest = [np.sort(((X - x) ** 2).sum(axis=1))[1:] for x in X[:1]]
    ties = max((d == d[0]).sum() for d in nearest)
    return NOT_CONVERGED if perplexity < ties < len(X) - 1 else OK
