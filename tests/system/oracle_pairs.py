"""What the oracles of all measures on pairs of models, weights or gradients have in common.

An oracle takes {model: Network} and gives a Table. Sums run in extended precision; nothing is expanded into products
whose differences would cancel.
"""

from dataclasses import dataclass, field

import numpy as np

OK, NONFINITE, ZERO_NORM, MISFIT, FEW_SAMPLES, NOT_CONVERGED, REFINED, BOUND, ABSENT = 0, 1, 2, 3, 4, 7, 8, 9, 10
EXTENDED = np.longdouble


@dataclass
class Table:
    """What a tensor has to hold.

    names    of the axis
    values   [N, N] double, NaN where undefined
    codes    [N, N] sets of status codes: where both of a pair are faulty in different ways, either reason will do
    kept     {quantity: array on the first axis}
    """

    names: list
    values: np.ndarray
    codes: np.ndarray
    kept: dict = field(default_factory=dict)


def undefined(code):
    """What a pair without a value gives."""
    return np.nan, code


def pairwise(names, own_codes, pair, shapes=None, kept=None):
    """The Table of pair(i, j) -> (value, code), which is asked only where own_codes of both are 0 and their shapes, where
    given, are equal (those of absent data are None)."""
    count = len(names)
    values = np.full((count, count), np.nan)
    codes = np.empty((count, count), dtype=object)
    for i in range(count):
        for j in range(count):
            reasons = {own_codes[i], own_codes[j]} - {OK}
            if shapes and None not in (shapes[i], shapes[j]) and shapes[i] != shapes[j]:
                reasons.add(MISFIT)
            if not reasons:
                value, code = pair(i, j)
                values[i, j], reasons = float(value), {code}
            codes[i, j] = reasons
    return Table(list(names), values, codes, kept or {})


def extended(array):
    return np.asarray(array).astype(EXTENDED)


def norm(array):
    return np.sqrt((extended(array) ** 2).sum())


def finite(arrays):
    return all(np.isfinite(array).all() for array in arrays)
