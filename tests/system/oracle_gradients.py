"""Measures of gradients straight from their definitions: gradient_cosine, gradient_conflict and sharpness."""

import numpy as np

from networks import attribute, contents
from oracle_pairs import ABSENT, EXTENDED, NONFINITE, OK, ZERO_NORM, extended, finite, norm, pairwise


def gradients_of(networks):
    """{"<model>/<task>": [p] in extended precision}."""
    return {f"{model}/{task}": extended(contents(gradient))
            for model, network in networks.items() for task, gradient in network.gradients.items()}


def gradient_code(gradient):
    return OK if finite([gradient]) else NONFINITE


def gradient_cosine(networks):
    gradients = gradients_of(networks)
    vectors = list(gradients.values())
    codes = [gradient_code(g) or (OK if norm(g) > 0 else ZERO_NORM) for g in vectors]

    def pair(i, j):
        return vectors[i] @ vectors[j] / (norm(vectors[i]) * norm(vectors[j])), OK

    return pairwise(gradients, codes, pair, [len(g) for g in vectors])


def excess(vectors):
    """norm of the sum minus the sum of norms. For two, |a+b| - |a| - |b| = -|a||b| |a/|a| - b/|b||^2 / (|a+b| + |a| + |b|),
    which loses nothing for near-parallel ones."""
    if len(vectors) != 2:
        return norm(sum(vectors)) - sum(norm(v) for v in vectors)
    a, b = vectors
    if norm(a) == 0 or norm(b) == 0:
        return EXTENDED(0)
    spread = norm(a / norm(a) - b / norm(b))
    return -norm(a) * norm(b) * spread**2 / (norm(a + b) + norm(a) + norm(b))


def gradient_conflict(networks):
    """Kept: `total` [models], over all tasks of a model; NaN where it has none or they do not fit."""
    gradients = gradients_of(networks)
    vectors = list(gradients.values())

    totals = [total_conflict([extended(contents(g)) for g in network.gradients.values()]) for network in networks.values()]
    return pairwise(gradients, [gradient_code(g) for g in vectors], lambda i, j: (excess([vectors[i], vectors[j]]), OK),
                    [len(g) for g in vectors], {"total": np.array(totals, dtype=float)})


def total_conflict(vectors):
    if not vectors or len({len(v) for v in vectors}) > 1 or not finite(vectors):
        return np.nan
    return excess(vectors)


# sharpness


def sharpness(networks, form="recorded", radius=(0.05,)):
    """Euclidean distance of the profiles s(radius)."""
    profiles, radii, codes = [], [], []
    for network in networks.values():
        data = network.sharpness if form == "recorded" else network.sample_gradients
        codes.append(ABSENT if data is None else gradient_code(contents(data)))
        radii.append(None if data is None else list(np.atleast_1d(attribute(data, "radius") if form == "recorded" else radius)))
        profiles.append(None if codes[-1] != OK else extended(contents(data)).mean(axis=1) if form == "recorded" else
                        np.array([quadratic_maximum(contents(data), r) for r in radii[-1]]))

    return pairwise(networks, codes, lambda i, j: (norm(profiles[i] - profiles[j]), OK), radii)


def quadratic_maximum(samples, radius):
    """max over |e| <= radius of g.e + e'Fe/2, g the mean of the rows of `samples` [m, p], F = samples' samples / m.

    By duality, which has no gap for one quadratic constraint, the hard case included, this is the minimum over
    t >= l_1 of t radius^2 / 2 + sum_k (g.u_k)^2 / (2 (t - l_k)), l_k and u_k the eigenpairs of F. The function is
    convex, and its value at the minimum is insensitive to the place."""
    samples = np.asarray(samples, dtype=np.float64)
    _, singular, directions = np.linalg.svd(samples, full_matrices=False)
    eigenvalues = extended(singular) ** 2 / len(samples)
    components = extended(directions) @ extended(samples).mean(axis=0)
    if not components.any():
        return eigenvalues[0] * EXTENDED(radius) ** 2 / 2
    gaps = eigenvalues[0] - eigenvalues

    def dual(log_excess):
        excess_ = np.exp(log_excess)
        return (eigenvalues[0] + excess_) * EXTENDED(radius) ** 2 / 2 + (components**2 / (gaps + excess_)).sum() / 2

    # At the minimum the step e has length radius, so the excess is at most |g| / radius, and below e^-90 of that it
    # no longer counts.
    high = np.log(norm(components) / EXTENDED(radius)) + 1
    return golden_minimum(dual, high - 90, high)


def golden_minimum(function, low, high):
    """Smallest value of a unimodal function on [low, high]."""
    ratio = (np.sqrt(EXTENDED(5)) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > EXTENDED(1e-12):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return min(at_left, at_right)
