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


class AttentionKL(TablesTestCase):
    """Rows of networks are drawn as Dirichlet distributions where nothing else is said."""

    LAYER, HEAD = entry("attention_kl", "layer"), entry("attention_kl", "head", per="head")
    FLOOR = [entry("attention_kl", "floor", floor=0.01), entry("attention_kl", "head_floor", per="head", floor=0.25)]
    BOTH = [LAYER, HEAD]
    RELATIVE = {"double": 1e-9, "single": 2e-5}

    @staticmethod
    def rows(random, shape, alpha=1.0, dtype=np.float64):
        gamma = np.maximum(random.gamma(alpha, size=shape), 1e-30)
        return normalised(gamma, -1).astype(dtype)

    def test_oracle(self):
        """All types, shapes that fit and such that do not, a floor; 1 to 4 ranks and more ranks than slices."""
        random = np.random.default_rng(1)
        rows = lambda *shape, **options: self.rows(random, shape, **options)
        networks = {"a": Network(attention={"x": rows(7, 3, 5, 9), "y": rows(7, 3, 5, 9, alpha=0.5)}),
                    "b": Network(attention={"x": rows(7, 3, 5, 9, dtype=np.float32), "heads": rows(7, 2, 5, 9)}),
                    "c": Network(attention={"half": (rows(7, 3, 5, 9) + 0.01).astype(np.float16), "keys": rows(7, 3, 5, 8),
                                            "samples": rows(6, 3, 5, 9), "turned": rows(7, 3, 9, 5)})}
        for ranks in (1, 2, 3, 4, 9):
            found = self.check(networks, self.BOTH + self.FLOOR, ranks=ranks)
        self.assertEqual(found["layer"].code("a/x", "b/heads"), 3)
        self.assertEqual(found["head"].code("a/x/1", "b/heads/1"), 0)
        self.assertEqual(found["head"].rows[:4], ["a/x/0", "a/x/1", "a/x/2", "a/y/0"])
        self.assertNotEqual(found["layer"].at("a/x", "a/y"), found["layer"].at("a/y", "a/x"))
        self.assertEqual(int(found["layer"].attributes["symmetric"]), 0)

    def test_dirichlet(self):
        """Two independent draws of Dirichlet(alpha 1_K) are (K-1)/(alpha K) apart in expectation."""
        random = np.random.default_rng(2)
        for keys, alpha in ((8, 1), (16, 0.5), (128, 2)):
            shape = (40, 2, 2000 // keys, keys)
            self.zoo({f"m{k}": Network(attention={"x": self.rows(random, shape, alpha)}) for k in range(4)})
            values = self.compute([self.LAYER])["layer"].values
            mean = values[~np.eye(4, dtype=bool)].mean()
            self.assertAlmostEqual(mean / ((keys - 1) / (alpha * keys)), 1, delta=0.02)

    def test_closed_forms(self):
        """Uniform against one-hot is log K one way and infinite the other; a floor makes both finite."""
        uniform, hot = np.full((4, 1, 3, 8), 1 / 8), np.zeros((4, 1, 3, 8))
        hot[..., 3] = 1
        self.zoo({"m": Network(attention={"uniform": uniform, "hot": hot})})
        for precision in ("double", "single"):
            found = self.compute([self.LAYER, self.FLOOR[0]], precision=precision)
            layer, floor = found["layer"], found["floor"]
            self.assertAlmostEqual(layer.at("m/hot", "m/uniform"), np.log(8), places=14)
            self.assertEqual(layer.at("m/uniform", "m/hot"), np.inf)
            self.assertEqual(layer.code("m/uniform", "m/hot"), 5)
            self.assertEqual(layer.code("m/hot", "m/uniform"), 0)
            high, low = 0.99 + 0.01 / 8, 0.01 / 8
            self.assertAlmostEqual(floor.at("m/hot", "m/uniform"), high * np.log(8 * high) + 7 * low * np.log(8 * low), places=13)
            self.assertAlmostEqual(floor.at("m/uniform", "m/hot"), -(np.log(8 * high) + 7 * np.log(8 * low)) / 8, places=13)

    def test_masks(self):
        """Cells that are masked in both add nothing; one that is masked in one of them makes one direction infinite."""
        random = np.random.default_rng(3)
        causal = np.tril(np.ones((12, 12)))
        other = causal.copy()
        other[7, 3] = 0
        masked = lambda mask: normalised(random.gamma(1, size=(30, 4, 12, 12)) * mask + 0.0, -1)
        networks = {f"m{k}": Network(attention={"x": masked(causal)}) for k in range(3)}
        found = self.check(networks, self.BOTH, ranks=3)
        self.assertTrue(np.isfinite(found["head"].values).all())
        one = masked(causal)
        sharp = one[:1].repeat(30, 0)
        sharp[17, 2] = masked(other)[17, 2]  # one head of one sample
        networks["m3"] = Network(attention={"x": sharp})
        found = self.check(networks, self.BOTH, ranks=3)
        self.assertEqual((found["layer"].code("m0/x", "m3/x"), found["layer"].code("m3/x", "m0/x")), (5, 0))
        self.assertEqual((found["head"].code("m0/x/2", "m3/x/2"), found["head"].code("m0/x/2", "m3/x/1")), (5, 0))

    def test_near_equal(self):
        """Divergences down to 1e-16 are right relative to themselves, and say that they were refined; equal ones are 0."""
        random = np.random.default_rng(4)
        base = self.rows(random, (6, 2, 10, 50), alpha=3)
        networks = {"m": Network(attention={"base": base, "same": base.copy(), "far": self.rows(random, base.shape), **{
            f"near{k}": normalised(base * (1 + 10.0**-k * random.standard_normal(base.shape)), -1) for k in (2, 4, 6, 8)}})}
        self.zoo(networks)
        for asked in self.BOTH:
            table = oracle_attention.attention_kl(networks, **({"per": "head"} if asked is self.HEAD else {}))
            for precision in ("double", "single"):
                found = self.compute([asked], precision=precision)[asked["name"]]
                np.testing.assert_allclose(found.values, table.values, rtol=self.RELATIVE[precision], atol=1e-18)
                first = "" if asked is self.LAYER else "/0"
                self.assertEqual(found.code("m/base" + first, "m/near6" + first), 8)
                self.assertEqual(found.at("m/base" + first, "m/same" + first), 0)

    def test_a_zoo_of_near_equal_rows(self):
        """No pair is far from the others' mean, and yet what tells them apart is lost in the rounding of logarithms."""
        random = np.random.default_rng(11)
        base = self.rows(random, (6, 2, 10, 50), alpha=3)
        for k in (6, 8):
            near = normalised(base * (1 + 10.0**-k * random.standard_normal(base.shape)), -1)
            networks = {"m": Network(attention={"base": base, "near": near})}
            self.zoo(networks)
            for asked in self.BOTH:
                table = oracle_attention.attention_kl(networks, **({"per": "head"} if asked is self.HEAD else {}))
                for precision in ("double", "single"):
                    found = self.compute([asked], precision=precision)[asked["name"]]
                    np.testing.assert_allclose(found.values, table.values, rtol=self.RELATIVE[precision], atol=0)

    def test_nearly_uniform_heads_of_untrained_networks(self):
        """All are close to one another, none is refined, and single precision still has the digits."""
        random = np.random.default_rng(5)
        networks = {f"m{k}": Network(attention={"x": normalised(
            1 + 1e-3 * random.standard_normal((40, 2, 30, 40)), -1).astype(np.float32)}) for k in range(4)}
        found = self.check(networks, self.BOTH)
        self.assertEqual(found["head"].codes.max(), 0)

    def test_rows_that_do_not_sum_to_one(self):
        """The value is the sum as it stands."""
        random = np.random.default_rng(6)
        networks = {f"m{k}": Network(attention={"x": (1 + k) * random.uniform(0.1, 1, size=(5, 2, 4, 6))}) for k in range(3)}
        found = self.check(networks, [self.LAYER])["layer"]
        self.assertLess(found.values.min(), -0.01)

    def test_tiny_numbers(self):
        """Subnormal numbers are support."""
        random = np.random.default_rng(7)
        for tiny, dtype in ((1e-320, np.float64), (1e-44, np.float32), (6e-8, np.float16)):
            rows = self.rows(random, (4, 1, 5, 6), 3)
            sharp = rows.copy()
            sharp[..., 0] = tiny
            self.check({"m": Network(attention={"rows": rows.astype(dtype), "sharp": sharp.astype(dtype)})}, [self.LAYER],
                       precisions=("double",))

    def test_statuses(self):
        random = np.random.default_rng(8)
        sound = self.rows(random, (5, 2, 3, 4))
        nan, negative = sound.copy(), sound.copy()
        nan[1, 1, 2, 3] = np.nan
        negative[4, 0, 0, 0] = -0.1
        networks = {"m": Network(attention={"sound": sound, "other": sound[::-1].copy(), "nan": nan, "negative": negative})}
        found = self.check(networks, self.BOTH, code=3, ranks=2)
        self.assertEqual((found["head"].code("m/sound/0", "m/nan/0"), found["head"].at("m/sound/0", "m/nan/0")), (8, 0))
        self.assertEqual(found["head"].code("m/sound/0", "m/nan/1"), 1)

    def test_the_sample_limit(self):
        random = np.random.default_rng(9)
        networks = {"m": Network(attention={"a": self.rows(random, (9, 2, 3, 4)), "b": self.rows(random, (6, 2, 3, 4))})}
        self.zoo(networks)
        found = self.compute(self.BOTH, precision="double", select={"samples": 5})
        for asked in self.BOTH:
            table = oracle_attention.attention_kl(networks, per=asked.get("per", "layer"), samples=5)
            self.assertTable(found[asked["name"]], table, asked["name"])

    def test_long(self):
        """More than one slice, compressed, in single precision; the same bits on 1, 2, 3 and 4 ranks, and resumed."""
        random = np.random.default_rng(10)
        base = random.gamma(0.7, size=(32, 3, 40, 48)) + 1e-3
        networks = {f"m{k}": Network(attention={"x": Stored(normalised(
            base * np.exp(0.2 * k * random.standard_normal(base.shape)), -1).astype(np.float32),
            {"compression": "gzip", "compression_opts": 1, "chunks": (4, 1, 40, 48)})}) for k in range(6)}
        first = self.check(networks, self.BOTH, ranks=1)
        for ranks in (2, 3, 4):
            again = self.compute(self.BOTH, ranks=ranks, precision="single")
            for name in again:
                np.testing.assert_array_equal(again[name].values, first[name].values)
                np.testing.assert_array_equal(again[name].codes, first[name].codes)


if __name__ == "__main__":
    unittest.main()
