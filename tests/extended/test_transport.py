"""Wasserstein distances of zoogram against those of POT (Python Optimal Transport).

Run by `scripts/test --extended` in its virtual environment.
"""

import sys
import unittest
from pathlib import Path

import numpy as np
import ot

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
from networks import Network
from oracle_transport import directions
from zoogram import SystemTestCase

N, D = 60, 5
PROJECTIONS, EPSILON = 64, 0.2


def uniform(X):
    return np.full(len(X), 1 / len(X))


def exact(X, Y):
    return np.sqrt(ot.emd2(uniform(X), uniform(Y), ot.dist(X, Y)))


def sliced(X, Y):
    return ot.sliced_wasserstein_distance(X, Y, projections=directions(0, PROJECTIONS, D).T)


def gaussian(X, Y):
    moments = [(Z.mean(axis=0), np.cov(Z.T)) for Z in (X, Y)]
    return ot.gaussian.bures_wasserstein_distance(moments[0][0], moments[1][0], moments[0][1], moments[1][1])


def entropic(X, Y, weight):
    """min <P, C> + weight KL(P | a b')."""
    a, b, C = uniform(X), uniform(Y), ot.dist(X, Y)
    P = ot.sinkhorn(a, b, C, weight, method="sinkhorn_log", stopThr=1e-10, numItermax=20_000)
    return (P * C).sum() + weight * (P * np.log(P / np.outer(a, b))).sum()


def sinkhorn(X, Y):
    weight = EPSILON * np.median(ot.dist(X, Y))
    return np.sqrt(entropic(X, Y, weight) - (entropic(X, X, weight) + entropic(Y, Y, weight)) / 2)


FORMS = {  # form: (POT's, options, relative tolerance: iterations of both stop at marginals of 1e-9 or less)
    "exact": (exact, {}, 1e-12),
    "sliced": (sliced, {"projections": PROJECTIONS}, 1e-12),
    "gaussian": (gaussian, {}, 1e-9),
    "sinkhorn": (sinkhorn, {"epsilon": EPSILON}, 1e-8),
}


class Transport(SystemTestCase):
    def test_forms(self):
        random = np.random.default_rng(3)
        layers = {f"l{k}": (1 + k) * random.standard_normal((N, D)) + k for k in range(4)}
        self.zoo({"m": Network(activations=layers)})
        tensors = self.compute([{"measure": "wasserstein", "name": form, "form": form, **options}
                                for form, (_, options, _) in FORMS.items()])
        for form, (distance, _, tolerance) in FORMS.items():
            for i in range(4):
                for k in range(i):
                    with self.subTest(form=form, i=i, k=k):
                        expected = distance(layers[f"l{i}"], layers[f"l{k}"])
                        np.testing.assert_allclose(tensors[form].at(f"m/l{i}", f"m/l{k}"), expected, rtol=tolerance)


if __name__ == "__main__":
    unittest.main()
