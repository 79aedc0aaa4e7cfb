"""MMD and Wasserstein distances of all pairs of layers, in plain numpy and scipy: nothing is shared between pairs, and
every distance of two points is a direct difference.

An oracle takes {"model/layer": [n, ...] array} and gives a Table (oracle_pairs.py).
"""

import numpy as np
from scipy.linalg import sqrtm, svdvals
from scipy.optimize import linear_sum_assignment

import oracle_pairs
from oracle_pairs import NONFINITE, OK

FEW_SAMPLES, NOT_CONVERGED = 4, 7
POOLED_ROWS = 1000


def points(array):
    """[n, d] in double."""
    array = np.asarray(array)
    return array.reshape(len(array), -1).astype(np.float64)


def squared_distances(X, Y):
    """[n, m], each entry by direct difference."""
    return np.array([((Y - x) ** 2).sum(axis=1) for x in X])


def layer_code(array):
    """Numbers whose squares overflow, by 2^40 of room for sums of them, are as good as infinite."""
    if len(np.asarray(array)) < 4:
        return FEW_SAMPLES
    with np.errstate(over="ignore", invalid="ignore"):
        return OK if np.isfinite(2.0**40 * (points(array) ** 2).sum()) else NONFINITE


def table(layers, value):
    """The Table of value(X, Y, same)."""
    names = list(layers)
    clouds = [points(layers[name]) for name in names]
    return oracle_pairs.pairwise(names, [layer_code(layers[name]) for name in names],
                                 lambda i, j: (value(clouds[i], clouds[j], i == j), OK), [X.shape[1] for X in clouds])


# MMD


def pooled_sigma(layers):
    """Root of half the median squared distance over all ordered pairs of the pooled rows, each with itself included."""
    pools = {}
    for array in layers.values():
        if layer_code(array) == OK:
            pools.setdefault(points(array).shape[1], []).append(points(array)[:POOLED_ROWS])
    distances = [squared_distances(Z, Z).ravel() for Z in map(np.concatenate, pools.values())]
    return np.sqrt(np.median(np.concatenate(distances)) / 2)


def mmd(layers, kernel="rbf", estimator="unbiased", sigma="auto"):
    width = pooled_sigma(layers) if kernel == "rbf" and sigma == "auto" else sigma

    def gram(X, Y):
        """The kernel less 1 for rbf: the constant has no part in an MMD."""
        if kernel == "linear":
            return X @ Y.T
        return np.expm1(-squared_distances(X, Y) / (2 * width**2))

    def self_term(X):
        n, K = len(X), gram(X, X)
        return (K.sum() - np.trace(K)) / (n * (n - 1)) if estimator == "unbiased" else K.mean()

    def value(X, Y, same):
        middle = (X.mean(axis=0) + Y.mean(axis=0)) / 2  # neither kernel's MMD depends on it
        X, Y = X - middle, Y - middle
        return self_term(X) + self_term(Y) - 2 * gram(X, Y).mean()

    return table(layers, value)


# Wasserstein


def bits(seed, k):
    """SplitMix64, vectorised over k."""
    def finalise(z):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    with np.errstate(over="ignore"):
        return finalise(finalise(np.uint64(seed)) + (k + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))


def normals(seed, first, count):
    """Box and Muller over pairs of uniform numbers."""
    k = np.uint64(first) + np.arange(count, dtype=np.uint64)
    even = k // np.uint64(2) * np.uint64(2)
    u, v = (((bits(seed, even + np.uint64(side)) >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52 for side in (0, 1))
    return np.sqrt(-2 * np.log(u)) * np.where(k % np.uint64(2), np.sin(2 * np.pi * v), np.cos(2 * np.pi * v))


def directions(seed, count, d):
    W = np.array([normals(seed, l << 32, d) for l in range(count)])
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def squared_in_one_dimension(x, y):
    """The integral of the squared difference of two step quantile functions."""
    ends = np.union1d(np.arange(1, len(x) + 1) * len(y), np.arange(1, len(y) + 1) * len(x))
    starts = np.concatenate([[0], ends[:-1]])
    steps = (ends - starts) / (len(x) * len(y))
    return float((steps * (np.sort(x)[starts // len(y)] - np.sort(y)[starts // len(x)]) ** 2).sum())


def sliced(X, Y, projections=256, seed=0):
    W = directions(seed, projections, X.shape[1])
    return np.sqrt(np.mean([squared_in_one_dimension(X @ w, Y @ w) for w in W]))


def gaussian(X, Y):
    """|S^1/2 T^1/2|_* is the sum of the singular values of the product of the centred samples themselves."""
    A, B = ((Z - Z.mean(axis=0)) / np.sqrt(len(Z) - 1) for Z in (X, Y))
    squares = ((X.mean(0) - Y.mean(0)) ** 2).sum() + (A**2).sum() + (B**2).sum()
    return np.sqrt(max(0, squares - 2 * svdvals(A @ B.T).sum()))


def gaussian_by_roots(X, Y):
    """The textbook's formula, which loses half the digits where a covariance is singular."""
    S, T = (np.atleast_2d(np.cov(Z, rowvar=False)) for Z in (X, Y))
    root = sqrtm(S).real
    cross = np.trace(sqrtm(root @ T @ root).real)
    return np.sqrt(((X.mean(0) - Y.mean(0)) ** 2).sum() + np.trace(S) + np.trace(T) - 2 * cross)


def exact(X, Y):
    C = squared_distances(X, Y)
    return np.sqrt(C[linear_sum_assignment(C)].mean())


def transport(C, epsilon, error=1e-11, most=200_000):
    """Plain Sinkhorn iterations in the log domain, until the marginals agree."""
    n, m = C.shape
    f, g = np.zeros(n), np.zeros(m)

    def soft(Z, axis):
        top = Z.max(axis=axis, keepdims=True)
        return np.squeeze(top, axis) + np.log(np.mean(np.exp(Z - top), axis=axis))

    for _ in range(most):
        f = -epsilon * soft((g[None, :] - C) / epsilon, 1)
        P = np.exp((f[:, None] + g[None, :] - C) / epsilon) / (n * m)
        if abs(P.sum(axis=0) - 1 / m).sum() < error:
            return f.mean() + g.mean()
        g = -epsilon * soft((f[:, None] - C) / epsilon, 0)
    raise RuntimeError("no convergence")


def sinkhorn(X, Y, epsilon=0.01):
    C = squared_distances(X, Y)
    weight = epsilon * np.median(C)
    own = [transport(squared_distances(Z, Z), weight) for Z in (X, Y)]
    return np.sqrt(max(0, transport(C, weight) - sum(own) / 2))


FORMS = {"sliced": sliced, "gaussian": gaussian, "exact": exact, "sinkhorn": sinkhorn}


def wasserstein(layers, form="sliced", **options):
    return table(layers, lambda X, Y, same: 0.0 if same else FORMS[form](X, Y, **options))
