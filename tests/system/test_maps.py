"""tsne_error against the oracle, scikit-learn, closed forms and invariances."""

import unittest

import numpy as np
from sklearn.manifold._utils import _binary_search_perplexity

import oracle
import oracle_maps
from arrays import related
from networks import Network
from tables import TablesTestCase, entry, expected, met, print_deviations
from zoogram import zoogram

tearDownModule = print_deviations
TEN = entry("tsne_error", "ten", perplexity=10)


def mapped(X, Y):
    return Network(activations={"a": X}, maps={"a": Y})


def clusters(n, d, seed=0, groups=4):
    """Points in groups, [n, d]."""
    random = np.random.default_rng(seed)
    return 5 * random.standard_normal((groups, d))[np.arange(n) % groups] + random.standard_normal((n, d))


class TsneError(TablesTestCase):
    def assertTable(self, found, table, name, precision="double", tolerance=None):
        """Neither symmetric nor with a diagonal of zeros."""
        self.assertEqual((found.rows, found.columns), (table.names, table.names))
        self.assertCodes(found, table.codes, name)
        met["tsne_error", "double"] = max(met["tsne_error", "double"], oracle.deviation(found.values, table.values))
        np.testing.assert_allclose(found.values, table.values, rtol=tolerance or 1e-9, atol=1e-12)

    def networks(self, n=60):
        random = np.random.default_rng(1)
        return {f"m{k}": Network(
            activations={name: a.astype(dtype) for name, a in related(n, [6, 40], seed=k).items()},
            maps={name: (8 * random.standard_normal((n, 2 + j))).astype(dtype) for j, name in enumerate(("layer0", "layer1"))})
            for k, dtype in enumerate((np.float64, np.float32, np.float16))}

    def test_oracle(self):
        """In all types, maps of two and three axes; the same bits on 1, 2, 3 and 4 ranks."""
        networks = self.networks()
        entries = [TEN, entry("tsne_error")]
        first = self.check(networks, entries, precisions=["double"], ranks=1)
        self.assertGreater(abs(first["ten"].values - first["ten"].values.T).max(), 0.01)
        for ranks in (2, 3, 4):
            for name, again in self.compute(entries, ranks=ranks).items():
                np.testing.assert_array_equal(again.values, first[name].values)

    def test_more_ranks_than_pairs(self):
        self.check({"m": mapped(clusters(20, 3), clusters(20, 2))}, [entry("tsne_error", "five", perplexity=5)],
                   precisions=["single"], ranks=5)

    def test_perplexities(self):
        X = np.random.default_rng(2).standard_normal((50, 5)) * np.logspace(-2, 2, 50)[:, None]
        networks = {"m": mapped(X, X[:, :2]), "other": mapped(clusters(50, 9), clusters(50, 3))}
        entries = [entry("tsne_error", f"p{p}", perplexity=p) for p in (1.5, 2, 7.25, 48.9)]
        self.check(networks, entries, precisions=["double"])

    def test_scikit_learn(self):
        """Its conditional probabilities, whose perplexity is right to 1e-5."""
        X, Y = clusters(80, 12), clusters(80, 2, 1)
        D = oracle_maps.squared_distances(X)
        P = _binary_search_perplexity(D.astype(np.float32), 10, 0).astype(float)
        P = (P + P.T) / P.sum() / 2
        expected_error = oracle_maps.divergence(P, oracle_maps.map_similarities(Y))
        self.zoo({"m": mapped(X, Y)})
        self.assertAlmostEqual(self.compute([TEN])["ten"].values[0, 0] / expected_error, 1, delta=1e-4)

    def test_perfect_maps(self):
        """Four corners of a tetrahedron in both spaces, whatever the perplexity: P = Q."""
        corners = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        turn = np.linalg.qr(np.ones((3, 3)) + np.diag([1, 2, 3]))[0]
        self.zoo({"m": Network(activations={"a": 7 * corners, "b": corners @ turn},
                               maps={"a": 0.3 * corners, "b": corners})})
        values = self.compute([entry("tsne_error", "t", perplexity=1.7)])["t"].values
        np.testing.assert_allclose(values, 0, atol=1e-14)

    def test_invariances(self):
        """P does not depend on rotation, scale or translation of the layer, Q on rotation or translation of the map."""
        random = np.random.default_rng(3)
        X, Y = clusters(70, 8), clusters(70, 3, 4)
        turn, turn3 = (np.linalg.qr(random.standard_normal((d, d)))[0] for d in (8, 3))
        networks = {"m": mapped(X, Y), "moved": mapped(1e3 * X @ turn + 50, Y @ turn3 - 7), "scaled": mapped(X, 2 * Y)}
        self.zoo(networks)
        found = self.compute([TEN])["ten"]
        np.testing.assert_allclose(found.values[:2, :2], found.values[0, 0], rtol=1e-9)
        self.assertGreater(abs(found.values[0, 2] - found.values[0, 0]), 1e-3)
        self.assertTrue((found.values > 0).all())

    def test_statuses(self):
        X, Y = clusters(30, 5), clusters(30, 2)
        spoilt, far = X.copy(), Y.copy()
        spoilt[3, 2], far[8, 1] = np.nan, np.inf
        duplicates = np.vstack([np.ones((14, 5)), X[14:]])
        networks = {"sound": mapped(X, Y), "spoilt": mapped(spoilt, Y), "far": mapped(X, far),
                    "constant": mapped(np.ones((30, 5)), Y),
                    "short": mapped(X, Y[:29]), "no_map": Network(activations={"a": X}), "duplicates": mapped(duplicates, Y)}
        found = self.check(networks, [TEN], precisions=["double"], code=3, ranks=3)["ten"]
        self.assertEqual(list(found.codes[0]), [0, 1, 1, 2, 3, 10, 7])
        networks = {"sound": networks["sound"], "no_map": networks["no_map"]}
        self.check(networks, [TEN, entry("tsne_error", "much", perplexity=29)], precisions=["double"], code=0)

    def test_samples_have_to_agree(self):
        self.zoo({"a": mapped(clusters(30, 5), clusters(30, 2)), "b": mapped(clusters(31, 5), clusters(31, 2))})
        finished = zoogram("run", self.job([TEN]), ranks=2)
        self.assertEqual(finished.code, 65, finished.report)

    def test_the_sample_limit(self):
        networks = {f"m{k}": mapped(clusters(60, 5, k), clusters(60, 2, 10 + k)) for k in range(2)}
        self.zoo(networks)
        found = self.compute([TEN], select={"samples": 37})["ten"]
        self.assertTable(found, expected(networks, {**TEN, "samples": 37}), "ten")

    def test_many_samples(self):
        """Beyond 5,000 only the nearest 3 x perplexity count."""
        n = 5003
        networks = {f"m{k}": mapped(clusters(n, 6, k).astype(np.float32), 4 * clusters(n, 2, 10 + k)) for k in range(2)}
        self.zoo(networks)
        found = self.compute([TEN], ranks=2)["ten"]
        self.assertTable(found, expected(networks, TEN), "ten")


if __name__ == "__main__":
    unittest.main()
