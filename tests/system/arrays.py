"""Arrays that the tests share: reproducible, made by formula or from a fixed seed."""

import numpy as np

from networks import Factors


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


# Parameters, gradients and tangent-kernel factors


def mlp_weights(seed, widths=(6, 9, 7, 4), dtype=np.float64):
    """Weights and biases of a chain of linear layers: {"fc0.weight": [9, 6], "fc0.bias": [9], ...}."""
    random = np.random.default_rng(seed)
    weights = {}
    for k, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        weights[f"fc{k}.weight"] = (random.standard_normal((outputs, inputs)) / np.sqrt(inputs)).astype(dtype)
        weights[f"fc{k}.bias"] = (0.1 * random.standard_normal(outputs)).astype(dtype)
    return weights


def mlp_factors(seed, m=11, widths=(6, 9, 7), classes=4, dtype=np.float64):
    """Dense layers with one position; every model of the same m sees the same samples in its first layer."""
    random = np.random.default_rng(seed)
    shared = np.random.default_rng(99).standard_normal((m, widths[0]))
    layers = {}
    for k, width in enumerate(widths):
        outputs = widths[k + 1] if k + 1 < len(widths) else classes
        inputs = shared if k == 0 else np.maximum(random.standard_normal((m, width)) + shared[:, :1], 0)
        layers[f"fc{k}"] = Factors(inputs=inputs.astype(dtype), bias=[None, 0, 1][k % 3],
                                   signal=random.standard_normal((m, classes, outputs)).astype(dtype))
    return layers


def cnn_factors(seed, m=11, classes=4, positions=(12, 5), dtype=np.float32):
    """Two convolutions (positions x patches), their normalisations as direct derivatives, a dense head."""
    random = np.random.default_rng(seed)
    layers = {}
    for k, S in enumerate(positions):
        layers[f"conv{k}"] = Factors(inputs=random.standard_normal((m, S, 18)).astype(dtype), bias=k % 2,
                                     signal=random.standard_normal((m, classes, S, 6)).astype(dtype))
        layers[f"norm{k}"] = Factors(direct=random.standard_normal((m, classes, 12)).astype(dtype))
    layers["head"] = Factors(inputs=random.standard_normal((m, 10)).astype(dtype),
                             signal=random.standard_normal((m, classes, classes)).astype(dtype))
    return layers


def transformer_factors(seed, m=11, classes=4, tokens=7, dtype=np.float64):
    """An embedding by index, token-wise dense layers, normalisation by direct derivatives."""
    random = np.random.default_rng(seed)
    index = np.random.default_rng(98).integers(0, 5, (m, tokens)).astype(np.int32)

    def token_layer(inputs, outputs, bias):
        return Factors(inputs=random.standard_normal((m, tokens, inputs)).astype(dtype), bias=bias,
                       signal=(0.3 * random.standard_normal((m, classes, tokens, outputs))).astype(dtype))

    return {
        "embedding": Factors(index=index, bias=0,
                             signal=(0.3 * random.standard_normal((m, classes, tokens, 8))).astype(dtype)),
        "norm": Factors(direct=random.standard_normal((m, classes, 16)).astype(np.float16)),
        "attention": token_layer(8, 24, 1),
        "mlp": token_layer(8, 5, 0),
        "head": Factors(inputs=random.standard_normal((m, 8)).astype(dtype), bias=1,
                        signal=random.standard_normal((m, classes, classes)).astype(dtype)),
    }
