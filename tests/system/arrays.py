"""Arrays that the tests share: reproducible, made by formula or from a fixed seed."""

import numpy as np


def golden():
    """Three arrays of 50 samples, known by formula, for which independent programs agree on published values:
    M[i][j] = sin(a (i+1)(j+1)) + b cos(c (i+1) + j) + 0.05 j."""
    parameters = {"X": (0.37, 0.5, 0.21, 8), "Y": (0.23, 0.7, 0.21, 6), "Z": (0.29, 0.6, 0.19, 8)}
    i = np.arange(50.0)[:, None]
    return {
        name: np.sin(a * (i + 1) * (j + 1)) + b * np.cos(c * (i + 1) + j) + 0.05 * j
        for name, (a, b, c, columns) in parameters.items()
        for j in [np.arange(float(columns))]
    }


def related(n, widths, seed=0, noise=0.5):
    """Layers that share a latent signal, so that all their similarities are far from 0 and from 1: {"layer0": ...}."""
    random = np.random.default_rng(seed)
    latent = random.standard_normal((n, 6))
    return {
        f"layer{k}": latent @ random.standard_normal((6, d)) + noise * (k + 1) * random.standard_normal((n, d))
        for k, d in enumerate(widths)
    }


def hard(n=67, seed=1):
    """Layers that break careless arithmetic: (model alpha, model beta), each {layer: array as it is to be stored}."""
    random = np.random.default_rng(seed)
    normal = random.standard_normal
    latent = normal((n, 5))

    def mixed(d, noise=1.0):
        return latent @ normal((5, d)) + noise * normal((n, d))

    base = mixed(40)
    outlier = mixed(12)
    outlier[n // 3] *= 1e3
    channel = mixed(30)
    channel[:, 7] *= 1e3
    duplicated = mixed(9)
    duplicated[n // 2:] = duplicated[: n - n // 2]
    alpha = {
        "plain": base.astype(np.float32),
        "near_copy": (base + 1e-3 * normal(base.shape)).astype(np.float32),
        "one_feature": mixed(1),
        "half": mixed(33).astype(np.float16),
        "map": mixed(60).reshape(n, 3, 4, 5).astype(np.float32),
        "one_token": mixed(6).reshape(n, 1, 6),
        "wide": mixed(500).astype(np.float32),
        "rectified": np.maximum(mixed(64), 0).astype(np.float32),
    }
    beta = {
        "offset": 1e4 + mixed(20),
        "offset_single": (1e4 + mixed(20)).astype(np.float32),
        "one_outlier": outlier,
        "outlier_channel": channel.astype(np.float32),
        "duplicates": duplicated,
        "ill_conditioned": mixed(24) * np.logspace(-3, 3, 24),
        "heavy_tails": random.standard_t(1.5, (n, 10)) + latent[:, :1],
        "rank_two": latent[:, :2] @ normal((2, 17)),
        "unrelated": normal((n, 25)),
    }
    return alpha, beta
