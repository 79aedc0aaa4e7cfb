"""head_importance and boundary against the oracle, closed forms and invariances."""

import unittest

import numpy as np

from networks import Network, Stored
from tables import TablesTestCase, entry, print_deviations

tearDownModule = print_deviations


def importances(*layers):
    return Network(head_importance={f"layer{k}": np.asarray(layer) for k, layer in enumerate(layers)})


class HeadImportance(TablesTestCase):
    L2, SPEARMAN, QUANTILE = ENTRIES = [entry("head_importance", form=form) for form in ("l2", "spearman", "quantile")]

    def compute_zoo(self, networks, **keys):
        self.zoo(networks)
        return self.compute(self.ENTRIES, **keys)

    def test_oracle(self):
        """Ties, scales, types and shapes; 1 to 4 ranks, and more ranks than models."""
        random = np.random.default_rng(1)
        networks = {f"m{k}": importances(*(random.gamma(1, size=heads) * 10.0 ** (3 * k) for heads in (4, 6, 5)))
                    for k in range(3)}
        networks["ties"] = importances([1, 2, 2, 0], [2, 2, 1, 1, 0, 3], [0, 0, 0, 0, 1])
        networks["half"] = importances(*(random.uniform(size=heads).astype(np.float16) for heads in (4, 6, 5)))
        networks["other"] = importances(*(random.uniform(size=heads) for heads in (6, 4, 5)))
        networks["fewer"] = importances(random.uniform(size=7))
        for ranks in (1, 2, 3, 4, 9):
            self.check(networks, self.ENTRIES, precisions=("double",), ranks=ranks)

    def test_closed_forms(self):
        tensors = self.compute_zoo({"a": importances([3, 4], [5, 0]), "b": importances([4, 3], [0, 2]),
                                    "c": importances([6, 8], [10, 0])})
        l2, spearman, quantile = (tensors[asked["name"]] for asked in self.ENTRIES)
        self.assertAlmostEqual(l2.at("a", "b"), np.sqrt(2 * 0.2**2 + 2), places=15)
        self.assertEqual(l2.at("a", "c"), 0)
        self.assertEqual(spearman.at("a", "c"), 0)  # 3 4 5 0 and 6 8 10 0
        self.assertAlmostEqual(spearman.at("a", "b"), 1.4, places=15)  # ranks 2 3 4 1 and 4 3 1 2
        self.assertAlmostEqual(quantile.at("a", "b"), np.sqrt((0 + 1 + 1 + 1) / 4), places=15)
        self.assertAlmostEqual(quantile.at("a", "c"), np.sqrt((9 + 16 + 25) / 4), places=15)

    def test_permuted_heads(self):
        random = np.random.default_rng(2)
        values = random.normal(size=12)
        tensors = self.compute_zoo({"a": importances(values), "b": importances(random.permutation(values)),
                                    "c": importances(np.repeat(values, 3))})
        quantile = tensors[self.QUANTILE["name"]]
        np.testing.assert_array_equal(quantile.values, np.zeros((3, 3)))
        self.assertEqual(tensors[self.L2["name"]].code("a", "c"), 3)

    def test_statuses(self):
        networks = {"sound": importances([1, 2], [3, 1]), "zero": importances([1, 2], [0, 0]),
                    "constant": importances([2, 2], [2, 2]), "nan": importances([1, np.nan], [3, 1]),
                    "none": Network(logits=np.ones((4, 2))), "shape": importances([1, 2, 3], [1])}
        tensors = self.check(networks, self.ENTRIES, precisions=("double",), code=3)
        self.assertEqual(tensors[self.SPEARMAN["name"]].code("sound", "constant"), 2)
        self.assertEqual(tensors[self.QUANTILE["name"]].code("sound", "constant"), 0)
        self.assertEqual(tensors[self.L2["name"]].code("sound", "zero"), 2)


class Boundary(TablesTestCase):
    ASKED = [entry("boundary")]

    @staticmethod
    def linear(weights, bias, samples):
        """A linear classifier and its exact gradients."""
        logits = samples @ weights.T + bias
        top = logits.argmax(axis=1)
        gradients = np.linalg.norm(weights[top][:, None] - weights[None], axis=-1)
        gradients[np.arange(len(samples)), top] = -1  # of no matter
        return Network(logits=logits, margin_gradients=gradients)

    def test_linear_classifiers(self):
        """The margin of two classes is the distance from a hyperplane."""
        random = np.random.default_rng(3)
        samples = random.normal(size=(200, 5))
        planes = random.normal(size=(3, 5))
        networks, distances = {}, []
        for k, plane in enumerate(planes):
            weights = np.stack([plane, np.zeros(5)])
            networks[f"m{k}"] = self.linear((k + 1) * weights, np.array([0.5, 0]) * (k + 1), samples)
            distances.append(abs(samples @ plane + 0.5) / np.linalg.norm(plane))
        values = self.check(networks, self.ASKED, precisions=("double",))["boundary"].values
        for i in range(3):
            for j in range(3):
                expected = np.linalg.norm(distances[i] - distances[j]) / np.sqrt(200)
                self.assertAlmostEqual(values[i, j], expected, places=13)

    def test_scale_does_not_matter(self):
        random = np.random.default_rng(4)
        samples, weights, bias = random.normal(size=(50, 4)), random.normal(size=(6, 4)), random.normal(size=6)
        self.zoo({"a": self.linear(weights, bias, samples), "b": self.linear(8 * weights, 8 * bias, samples)})
        self.assertEqual(self.compute(self.ASKED)["boundary"].values.max(), 0)

    def test_oracle(self):
        """Classes that were not recorded, classes of different number, all types, the sample limit."""
        random = np.random.default_rng(5)
        networks = {}
        for k, (classes, dtype) in enumerate(((10, np.float64), (10, np.float32), (3, np.float16), (1000, np.float64))):
            logits, gradients = random.normal(size=(70, classes)), random.uniform(0.1, 2, size=(70, classes))
            keep = np.argsort(-logits, axis=1)[:, :3]
            recorded = np.full_like(gradients, np.nan)
            np.put_along_axis(recorded, keep[:, 1:], np.take_along_axis(gradients, keep[:, 1:], 1), 1)
            networks[f"m{k}"] = Network(logits=logits.astype(dtype), margin_gradients=Stored(
                recorded.astype(dtype), {"compression": "gzip", "chunks": (16, classes)}))
        for ranks in (1, 2, 3, 4, 6):
            self.check(networks, self.ASKED, precisions=("double",), ranks=ranks)
        tensors = self.compute(self.ASKED, select={"samples": 33})
        from oracle_attention import boundary
        self.assertTable(tensors["boundary"], boundary(networks, samples=33), "boundary")

    def test_statuses(self):
        ones = np.ones
        logits = np.tile([0.0, 2, 1], (4, 1))
        hidden = ones((4, 3))
        hidden[2] = [np.nan, 1, np.nan]
        flat, partly, spoilt, infinite = ones((4, 3)), ones((4, 3)), logits.copy(), ones((4, 3))
        flat[1] = 0
        partly[1, 2] = 0  # the other class has a boundary
        steep = np.full((4, 3), 1e-200)
        one_steep = steep.copy()
        one_steep[:, 2] = 1
        spoilt[3, 0] = np.inf
        infinite[3, 0] = np.inf
        networks = {"sound": Network(logits=logits, margin_gradients=ones((4, 3))),
                    "partly": Network(logits=2 * logits, margin_gradients=partly),
                    "hidden": Network(logits=logits, margin_gradients=hidden),
                    "flat": Network(logits=logits, margin_gradients=flat),
                    "spoilt": Network(logits=spoilt, margin_gradients=ones((4, 3))),
                    "infinite": Network(logits=logits, margin_gradients=infinite),
                    "beyond": Network(logits=1e200 * logits, margin_gradients=steep),  # margins, not numbers, overflow
                    "nearest": Network(logits=1e150 * logits, margin_gradients=one_steep),  # one of two does
                    "fewer": Network(logits=logits[:3], margin_gradients=ones((3, 3))),
                    "misfit": Network(logits=logits, margin_gradients=ones((4, 2))),
                    "logits": Network(logits=logits), "gradients": Network(margin_gradients=ones((4, 3)))}
        found = self.check(networks, self.ASKED, precisions=("double",), code=3)["boundary"]
        self.assertEqual([found.code("sound", name) for name in networks], [0, 0, 10, 2, 1, 1, 1, 0, 3, 3, 10, 10])


if __name__ == "__main__":
    unittest.main()
