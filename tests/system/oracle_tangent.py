"""Tangent kernels from explicit Jacobians: every factor is multiplied out into derivatives by single parameters.

Kernels are products of double precision, good to 1e-15 of their largest entry.
"""

import numpy as np

from networks import contents
from oracle_pairs import ABSENT, NONFINITE, OK, ZERO_NORM, finite, norm, pairwise


def layer_jacobian(factors):
    """[m, C, q]: the derivatives of the logits by a layer's parameters."""
    if factors.direct is not None:
        return contents(factors.direct).astype(float)
    signal = contents(factors.signal).astype(float)
    inputs = one_hot(contents(factors.index)) if factors.index is not None else contents(factors.inputs).astype(float)
    if signal.ndim == 3:  # one position
        signal, inputs = signal[:, :, None], inputs[:, None]
    if factors.bias in (None, 1):
        inputs = np.concatenate([inputs, np.ones((*inputs.shape[:2], 1))], axis=2)
    return np.einsum("acso,asi->acoi", signal, inputs).reshape(*signal.shape[:2], -1)


def one_hot(index):
    """[m, S] rows of a table, as [m, S, rows]."""
    return (np.asarray(index)[..., None] == np.arange(np.max(index) + 1)).astype(float)


def jacobian(network, source="auto"):
    """[m, C, p] of a model, or None where the source is absent."""
    if network.tangent and source in ("auto", "factors"):
        return np.concatenate([layer_jacobian(factors) for factors in network.tangent.values()], axis=2)
    if network.jacobian is not None and source in ("auto", "jacobian"):
        return contents(network.jacobian).astype(float)
    return None


def kernel(J, reduction="trace"):
    """[m, m], or [m C, m C] with (sample, class) as row."""
    if reduction == "full":
        rows = J.reshape(-1, J.shape[2])
        return rows @ rows.T
    return sum(J[:, c] @ J[:, c].T for c in range(J.shape[1]))


def double_centred(K):
    return K - K.mean(axis=0) - K.mean(axis=1, keepdims=True) + K.mean()


def kernels(networks, reduction, source):
    """Kernels (None where there is none), what has to agree between them, and status codes."""
    found, shapes, codes = [], [], []
    for network in networks.values():
        J = jacobian(network, source)
        codes.append(ABSENT if J is None else OK if finite([J]) else NONFINITE)
        found.append(kernel(J, reduction) if codes[-1] == OK else None)
        shapes.append(None if J is None else J.shape[:2] if reduction == "full" else J.shape[0])
    return found, shapes, codes


def ntk_distance(networks, reduction="trace", scale="none", source="auto", keep_kernel=0):
    found, shapes, codes = kernels(networks, reduction, source)
    kept = {}
    if keep_kernel:
        kept["kernel"] = np.array(found, dtype=float)
        kept["eigenvalues"] = np.linalg.eigvalsh(kept["kernel"])
    sizes = {"none": lambda K: 1.0, "trace": np.trace, "frobenius": norm}
    for k, K in enumerate(found):
        if K is not None:
            size = sizes[scale](K)
            codes[k] = OK if size > 0 else ZERO_NORM
            found[k] = K / size if size > 0 else None

    return pairwise(networks, codes, lambda i, j: (norm(found[i] - found[j]), OK), shapes, kept)


def ntk_alignment(networks, reduction="trace", source="auto", centred=1):
    """Biased CKA of the kernels: cosine of the (centred) matrices. A centred kernel counts as zero where nothing but
    rounding is left of it."""
    found, shapes, codes = kernels(networks, reduction, source)
    for k, K in enumerate(found):
        if K is not None:
            largest = norm(K)
            found[k] = double_centred(K) if centred else K
            codes[k] = OK if norm(found[k]) > 1e-14 * largest else ZERO_NORM

    def pair(i, j):
        return (found[i] * found[j]).sum() / (norm(found[i]) * norm(found[j])), OK

    return pairwise(networks, codes, pair, shapes)
