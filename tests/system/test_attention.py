"""cross_attention and attention_kl against the oracle, closed forms and invariances."""

import unittest

import numpy as np

import oracle_attention
from networks import Network, Stored
from tables import TablesTestCase, entry, print_deviations
from zoogram import zoogram

tearDownModule = print_deviations
USAGE = 78


def normalised(maps, axes):
    return maps / maps.sum(axis=axes, keepdims=True)


class CrossAttention(TablesTestCase):
    ASKED = [entry("cross_attention"), entry("cross_attention", "coarse", grid=[3, 2])]

    @staticmethod
    def layers(**maps):
        return Network(cross_attention={name: normalised(np.asarray(m), (-2, -1)) for name, m in maps.items()})

    def test_oracle(self):
        """Grids that divide one another and such that do not, counts that do not fit, all types; 1 to 4 ranks."""
        random = np.random.default_rng(1)
        gamma = lambda *shape: random.gamma(0.3, size=shape) + 1e-6
        networks = {"a": self.layers(x=gamma(9, 4, 8, 8), y=gamma(9, 4, 16, 16)),
                    "b": self.layers(x=gamma(9, 4, 8, 8).astype(np.float32), wide=gamma(9, 4, 5, 12)),
                    "c": self.layers(y=gamma(9, 4, 16, 16).astype(np.float16), one=gamma(9, 4, 1, 1)),
                    "d": self.layers(tokens=gamma(9, 3, 8, 8), samples=gamma(8, 4, 8, 8), again=gamma(8, 4, 7, 7))}
        for ranks in (1, 2, 3, 4):
            found = self.check(networks, self.ASKED, ranks=ranks)
        self.assertEqual(found["cross_attention"].code("a/x", "d/tokens"), 3)
        self.assertEqual(found["cross_attention"].code("a/x", "d/samples"), 3)
        self.assertEqual(found["cross_attention"].code("a/x", "c/one"), 0)

    def test_closed_forms(self):
        """Uniform maps agree on any grid; a map spread over four cells each is the same map; disjoint ones are 0."""
        random = np.random.default_rng(2)
        small = random.gamma(1, size=(5, 2, 3, 4))
        left, right = np.zeros((2, 5, 2, 4, 4))
        left[..., :2], right[..., 2:] = 1, 1
        self.zoo({"m": self.layers(small=small, fine=np.repeat(np.repeat(small, 2, -2), 5, -1), left=left, right=right,
                                   flat=np.ones((5, 2, 7, 9)), even=np.ones((5, 2, 4, 6)))})
        found = self.compute([entry("cross_attention")], precision="double")["cross_attention"]
        self.assertAlmostEqual(found.at("m/small", "m/fine"), 1, places=14)
        self.assertEqual(found.at("m/left", "m/right"), 0)
        self.assertAlmostEqual(found.at("m/flat", "m/even"), 1, places=14)
        self.assertAlmostEqual(found.at("m/flat", "m/left"), np.sqrt(0.5), places=14)

    def test_fractional_overlap(self):
        """Three cells onto two: half of the middle one belongs to each."""
        three, two = np.array([[[[1.0, 2, 3]]]]), np.array([[[[3.0, 1]]]])
        self.zoo({"m": self.layers(three=three, two=two)})
        value = self.compute([entry("cross_attention")], precision="double")["cross_attention"].at("m/three", "m/two")
        self.assertAlmostEqual(value, (2 * 3 + 4 * 1) / np.sqrt((4 + 16) * (9 + 1)), places=14)

    def test_statuses(self):
        random = np.random.default_rng(3)
        sound = random.gamma(1, size=(6, 2, 4, 4))
        zero, nan = sound.copy(), sound.copy()
        zero[2, 1], nan[5, 0, 3, 3] = 0, np.nan
        networks = {"m": Network(cross_attention={"sound": sound, "zero": zero, "nan": nan, "other": sound**2}),
                    "lone": Network(cross_attention={"nan": nan[:4], "zero": zero[:5, :1]})}
        self.check(networks, self.ASKED, code=3, ranks=3)

    def test_the_sample_limit(self):
        random = np.random.default_rng(4)
        networks = {"m": self.layers(a=random.gamma(1, size=(9, 2, 4, 4)), b=random.gamma(1, size=(7, 2, 3, 5)))}
        self.zoo(networks)
        found = self.compute(self.ASKED, precision="double", select={"samples": 5})["cross_attention"]
        self.assertTable(found, oracle_attention.cross_attention(networks, samples=5), "cross_attention")

    def test_long(self):
        """More than one slice, in single precision; the same bits on 1, 2, 3 and 4 ranks."""
        random = np.random.default_rng(5)
        networks = {f"m{k}": Network(cross_attention={"x": Stored(normalised(
            random.gamma(0.5, size=(120, 8, side, side)).astype(np.float32), (-2, -1)), {"compression": "gzip"})})
            for k, side in enumerate((16, 16, 12))}
        first = self.check(networks, self.ASKED, ranks=1)
        for ranks in (2, 3, 4):
            again = self.compute(self.ASKED, ranks=ranks, precision="single")
            for name in again:
                np.testing.assert_array_equal(again[name].values, first[name].values)

    def test_grids_that_are_none(self):
        self.zoo({"m": self.layers(a=np.ones((4, 1, 2, 2)))})
        for grid in ([3], [0, 2], [1.5, 2], [1, 2, 3], 4, "x"):
            finished = zoogram("run", self.job([entry("cross_attention", "x", grid=grid)]))
            self.assertEqual(finished.code, USAGE, finished.report)
            self.assertIn("grid", finished.err)


if __name__ == "__main__":
    unittest.main()
