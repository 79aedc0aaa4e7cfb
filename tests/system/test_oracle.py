"""The oracle itself, held against published values and against the textbook's matrix products."""

import unittest

import numpy as np

import oracle
from arrays import golden
from oracle import Measure

# Computed by the public implementations of Kornblith et al., Nguyen et al. and others, which agree to these digits.
GOLDEN_XY = {
    Measure("cka", "linear", "biased"): 0.282292341563,
    Measure("cka", "linear", "debiased"): 0.203582143835,
    Measure("hsic", "linear", "biased"): 1.39574258038,
    Measure("hsic", "linear", "debiased"): 0.898033264413,
    Measure("cka", "linear", "minibatch", batch=25): 0.232244777186,
    Measure("cka", "linear", "minibatch", batch=20): 0.213393685475,
    Measure("cka", "rbf", "biased", 0.2): 0.832077835291,
    Measure("cka", "rbf", "biased", 0.4): 0.459760659588,
    Measure("cka", "rbf", "biased", 0.8): 0.338670787657,
    Measure("cka", "rbf", "biased", 1.0): 0.323648946277,
    Measure("cka", "rbf", "debiased", 0.4): 0.00341729037892,
}
DIGITS = 1e-11  # relative to the value: the published digits


class Oracle(unittest.TestCase):
    def test_arrays_are_those_of_the_published_values(self):
        arrays = golden()
        np.testing.assert_allclose(arrays["X"][0, :3], [0.85063089, 0.90079761, 0.69742042], atol=1e-8)
        self.assertAlmostEqual(arrays["Y"][49, 5], -0.5497022378, places=10)
        self.assertAlmostEqual(arrays["Z"][10, 7], 0.160961631, places=9)

    def test_published_values(self):
        arrays = golden()
        for measure, published in GOLDEN_XY.items():
            with self.subTest(measure.name):
                values, codes = oracle.tensor([arrays["X"], arrays["Y"]], measure)
                self.assertFalse(codes.any())
                for value in (values[0, 1], values[1, 0]):
                    self.assertLess(abs(value - published) / published, 3 * DIGITS if published > 0.01 else 1e-9)

    def test_uneven_batches_weigh_by_their_size(self):
        """Equal weights would give another published value."""
        arrays = golden()
        batches = [slice(0, 20), slice(20, 40), slice(40, 50)]
        kernels = [[oracle.linear_kernel(oracle.flattened(a[b])) for a in (arrays["X"], arrays["Y"])] for b in batches]
        H = sum(oracle.debiased_hsic(np.array(k)) for k in kernels)
        self.assertAlmostEqual(float(H[0, 1] / np.sqrt(H[0, 0] * H[1, 1])), 0.142323508214, places=11)

    def test_median_of_an_even_count_is_the_mean_of_the_middle_two(self):
        """The lower of the two would give 0.459801215032 on these arrays."""
        values, _ = oracle.tensor(list(golden().values())[:2], Measure("cka", "rbf", "biased"))
        self.assertGreater(abs(values[0, 1] - 0.459801215032), 1e-5)

    def test_centred_product_is_the_trace_of_the_textbook(self):
        X, Y, Z = (oracle.flattened(a) for a in golden().values())
        n = len(X)
        H = np.eye(n) - np.full((n, n), 1 / n)
        kernels = np.array([oracle.linear_kernel(X), oracle.rbf_kernel(Y, 0.4), oracle.rbf_kernel(Z, 0.8)])
        expected = [[np.trace(K @ H @ L @ H) / (n - 1) ** 2 for L in kernels] for K in kernels]
        np.testing.assert_allclose(oracle.biased_hsic(kernels).astype(float), np.array(expected, float), rtol=1e-12)

    def test_debiased_is_the_sum_over_distinct_quadruples(self):
        """Song et al. 2012: the mean over all ordered quadruples of distinct samples of the U-statistic's kernel."""
        from itertools import permutations

        random = np.random.default_rng(5)
        X, Y = random.standard_normal((2, 6, 3))
        K, L = X @ X.T, Y @ Y.T
        terms = [
            K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q])
            for i, j, q, r in permutations(range(6), 4)
        ]
        computed = oracle.debiased_hsic(np.array([K, L], dtype=oracle.EXTENDED))[0, 1]
        self.assertAlmostEqual(float(computed), np.mean(terms), places=12)

    def test_codes(self):
        random = np.random.default_rng(6)
        sound = random.standard_normal((10, 3))
        spoilt = sound.copy()
        spoilt[4, 1] = np.inf
        constant = np.tile(np.float32([1e4, -3, 0.1]), (10, 1))
        one_ulp = constant.copy()
        one_ulp[3, 0] = np.nextafter(one_ulp[3, 0], np.float32(2e4))
        linear, rbf = Measure(), Measure(kernel="rbf")
        self.assertEqual(oracle.item_code(sound, linear), oracle.OK)
        self.assertEqual(oracle.item_code(spoilt, linear), oracle.NONFINITE)
        self.assertEqual(oracle.item_code(constant, linear), oracle.ZERO_VARIANCE)
        self.assertEqual(oracle.item_code(one_ulp, linear), oracle.ZERO_VARIANCE)
        self.assertEqual(oracle.item_code(sound[:3], linear), oracle.FEW_SAMPLES)
        mostly_equal = np.zeros((10, 2))
        mostly_equal[:2] = sound[:2, :2]
        self.assertEqual(oracle.item_code(mostly_equal, linear), oracle.OK)
        self.assertEqual(oracle.item_code(mostly_equal, rbf), oracle.ZERO_VARIANCE)
        values, codes = oracle.tensor([sound, constant, spoilt], Measure("hsic"))
        np.testing.assert_array_equal(codes, [[0, 2, 1], [2, 2, 1], [1, 1, 1]])
        np.testing.assert_array_equal(np.isnan(values), codes == 1)
        self.assertTrue((values[codes == 2] == 0).all())
        values, _ = oracle.tensor([sound, constant, spoilt], Measure("cka"))
        np.testing.assert_array_equal(np.isnan(values), codes != 0)


if __name__ == "__main__":
    unittest.main()
