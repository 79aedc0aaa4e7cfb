"""The three Fisher distances straight from their definitions."""

import numpy as np

from networks import attribute, contents
from oracle_pairs import ABSENT, EXTENDED, NONFINITE, OK, ZERO_NORM, extended, finite, norm, pairwise


def fisher(networks, form="output"):
    return {"output": output, "quadratic": quadratic, "task": task}[form](networks)


def code_of(arrays):
    """Status of the arrays that a model has to have."""
    if any(array is None for array in arrays):
        return ABSENT
    return OK if finite(contents(array) for array in arrays) else NONFINITE


# output


def root_probabilities(logits):
    """sqrt of softmax, [n, C]."""
    shifted = extended(logits) - extended(logits).max(axis=1, keepdims=True)
    return np.exp((shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))) / 2)


def output(networks):
    """Root mean square over samples of 2 arccos(u.v) with unit vectors u, v of root probabilities, which is
    4 arcsin(|u - v| / 2)."""
    codes = [code_of([network.logits]) for network in networks.values()]
    roots = [root_probabilities(contents(network.logits)) if code == OK else None
             for network, code in zip(networks.values(), codes)]
    shapes = [None if network.logits is None else contents(network.logits).shape for network in networks.values()]

    def pair(i, j):
        chords = np.sqrt(((roots[i] - roots[j]) ** 2).sum(axis=1))
        return np.sqrt(((4 * np.arcsin(np.minimum(chords / 2, 1))) ** 2).mean()), OK

    return pairwise(networks, codes, pair, shapes)


# quadratic


def parameter_order(network):
    """The parameters' names in the order in which the network's gradients are flattened."""
    names = attribute(network.sample_gradients, "parameters", list(network.weights))
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def parameter_vector(network, names):
    """These parameters of a network as one vector."""
    return np.concatenate([extended(contents(network.weights[name])).ravel() for name in names])


def quadratic(networks):
    """sqrt of the mean over both models' samples of (g . (theta_i - theta_j))^2, each model weighing half."""
    members, codes, shapes = list(networks.values()), [], []
    for network in members:
        codes.append(code_of([network.sample_gradients, *(network.weights.values() or [None])]))
        shapes.append({name: contents(array).shape for name, array in network.weights.items()} or None)

    def pair(i, j):
        total = EXTENDED(0)
        for own, other in ((members[i], members[j]), (members[j], members[i])):
            names = parameter_order(own)
            difference = parameter_vector(own, names) - parameter_vector(other, names)
            total += ((extended(contents(own.sample_gradients)) @ difference) ** 2).mean() / 2
        return np.sqrt(total), OK

    return pairwise(networks, codes, pair, shapes)


# task


def task(networks):
    """2^-1/2 F(f_i^1/2 - f_j^1/2), f = mean over samples of g^2, scaled to sum 1: the Hellinger distance."""
    codes, roots, lengths = [], [], []
    for network in networks.values():
        code, root = code_of([network.sample_gradients]), None
        lengths.append(None if code == ABSENT else contents(network.sample_gradients).shape[1])
        if code == OK:
            squares = (extended(contents(network.sample_gradients)) ** 2).mean(axis=0)
            code = OK if squares.sum() > 0 else ZERO_NORM
            root = np.sqrt(squares / squares.sum()) if code == OK else None
        codes.append(code)
        roots.append(root)

    return pairwise(networks, codes, lambda i, j: (norm(roots[i] - roots[j]) / np.sqrt(EXTENDED(2)), OK), lengths)
