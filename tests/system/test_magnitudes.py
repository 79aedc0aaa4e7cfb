"""Numbers whose squares leave the range of doubles: a measure has the value that it has of numbers near 1, as far as it
does not depend on their size or scales with it, or a status; never another number."""

import unittest

import numpy as np

from networks import Network, Stored
from tables import TablesTestCase, entry

# What is measured, and by which power of the numbers' size it scales.
MEASURES = [
    (0, entry("cka", kernel="linear")), (0, entry("cka", kernel="rbf")), (0, entry("cosine", pairing="flattened")),
    (0, entry("cosine", pairing="samples")), (0, entry("mmd")), (0, entry("isotropy")), (0, entry("tsne_error", perplexity=5)),
    (1, entry("weight_frobenius")), (0, entry("weight_frobenius", relative=1)), (2, entry("fisher", form="quadratic")),
    (0, entry("fisher", form="task")), (0, entry("path_norm", norm="spectral")), (0, entry("path_norm", norm="path1")),
    (0, entry("path_norm", norm="path2")), (0, entry("gradient_cosine")), (1, entry("gradient_conflict")),
    (1, entry("sharpness", form="recorded")), (0, entry("head_importance", form="l2")), (0, entry("cross_attention")),
    (0, entry("ntk_distance", scale="trace")), (0, entry("ntk_distance", scale="frobenius")), (0, entry("ntk_alignment")),
    (0, entry("boundary")),
]


def networks(exponent, models=3, n=24):
    """The same networks for each exponent, all numbers times 2^exponent."""
    random = np.random.default_rng(3)
    base = random.normal(size=(n, 6))
    found = {}
    for name in range(models):
        layer = base @ random.normal(size=(6, 5)) + 0.5 * random.normal(size=(n, 5))
        numbers = {
            "activations": {"layer": layer}, "weights": {"a": random.normal(size=(4, 5)), "b": random.normal(size=(3, 4))},
            "gradients": {task: random.normal(size=32) for task in "xy"}, "sample_gradients": random.normal(size=(10, 32)),
            "jacobian": random.normal(size=(8, 3, 32)), "logits": random.normal(size=(n, 3)),
            "margin_gradients": abs(random.normal(size=(n, 3))), "head_importance": {"layer": abs(random.normal(size=6))},
            "cross_attention": {"layer": abs(random.normal(size=(n, 3, 4, 4)))},
        }
        sharpness = abs(random.normal(size=(2, 3)))
        scaled = {kind: {key: array * 2.0**exponent for key, array in arrays.items()} if isinstance(arrays, dict)
                  else arrays * 2.0**exponent for kind, arrays in numbers.items()}
        for kind in ("sample_gradients", "jacobian"):
            scaled[kind] = Stored(scaled[kind], attributes={"parameters": ["a", "b"]})
        found[f"m{name}"] = Network(
            **scaled, maps={"layer": layer[:, :2]},
            sharpness=Stored(sharpness * 2.0**exponent, attributes={"radius": [0.1, 0.2]}))
    return found


class Magnitudes(TablesTestCase):
    def computed(self, exponent, code=0):
        self.zoo(networks(exponent))
        return self.compute([asked for _, asked in MEASURES], precision="double", code=code)

    def check(self, exponent, code=0):
        plain, scaled = self.computed(0), self.computed(exponent, code)
        for power, asked in MEASURES:
            with self.subTest(exponent=exponent, measure=asked["name"]):
                before, after = plain[asked["name"]], scaled[asked["name"]]
                lost = np.isin(after.codes, (1, 2, 7))
                self.assertTrue(np.isnan(after.values[lost]).all())
                expected = before.values * 2.0 ** (power * exponent)
                np.testing.assert_allclose(after.values[~lost], expected[~lost], rtol=1e-6,
                                           atol=max(1e-9 * abs(expected).max(), 1e-320))

    def test_squares_in_range(self):
        """All of them can be squared, and products of these be formed: nothing is lost."""
        for exponent in (-250, 120):
            self.check(exponent)

    def test_squares_next_to_nothing(self):
        for exponent in (-520, -530, -536, -550):
            self.check(exponent, code=3)


if __name__ == "__main__":
    unittest.main()
