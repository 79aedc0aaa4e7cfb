"""gradient_cosine, gradient_conflict, sharpness and fisher against the oracle and closed forms."""

import unittest

import h5py
import numpy as np

from arrays import mlp_weights
from networks import Network, Stored
from tables import TablesTestCase, entry, expected, print_deviations

tearDownModule = print_deviations
PRECISIONS = ("double", "single")
BOTH = [entry("gradient_cosine"), entry("gradient_conflict")]


def tasks(*gradients):
    return Network(gradients={f"task{k}": np.asarray(gradient) for k, gradient in enumerate(gradients)})


def related_gradients(seed, count, p, dtype=np.float64):
    """Gradients that share a direction."""
    random = np.random.default_rng(seed)
    shared = np.random.default_rng(5).standard_normal(p)
    return [(shared + (k + 1) * random.standard_normal(p)).astype(dtype) for k in range(count)]


class Gradients(TablesTestCase):
    def check(self, networks, entries, **keys):
        """As above; the total conflict of every model as well."""
        tensors = super().check(networks, entries, **keys)
        for asked in entries:
            if asked["measure"] == "gradient_conflict":
                total = expected(networks, asked).kept["total"]
                found = tensors[asked["name"]].kept["total"]
                np.testing.assert_array_equal(np.isnan(found), np.isnan(total))
                np.testing.assert_allclose(found, total, rtol=2e-5, atol=1e-12)
        return tensors

    def test_types_and_ways_of_storing(self):
        a, b, c, d = related_gradients(1, 4, 5003)
        networks = {"double": tasks(a, b), "single": tasks(c.astype(np.float32)), "half": tasks(d.astype(np.float16)),
                    "packed": Network(gradients={
                        "loss": Stored(a + b, {"compression": "gzip", "chunks": (999,), "shuffle": True})})}
        tensors = self.check(networks, BOTH, ranks=3)
        self.assertEqual(tensors["gradient_cosine"].rows,
                         ["double/task0", "double/task1", "single/task0", "half/task0", "packed/loss"])

    def test_closed_forms(self):
        e, f, g = np.eye(64)[:3]
        self.zoo({"a": tasks(e, -e, f), "b": tasks(3 * e)})
        for precision in PRECISIONS:
            cosine, conflict = (t.values for t in self.compute(BOTH, precision=precision).values())
            np.testing.assert_allclose(cosine, [[1, -1, 0, 1], [-1, 1, 0, -1], [0, 0, 1, 0], [1, -1, 0, 1]], atol=1e-12)
            two, three = 2**0.5 - 2, 10**0.5 - 4
            np.testing.assert_allclose(
                conflict, [[0, -2, two, 0], [-2, 0, two, -2], [two, two, 0, three], [0, -2, three, 0]], atol=1e-12)

    def test_total_of_orthonormal_gradients(self):
        self.zoo({"m": tasks(*np.eye(9)), "one": tasks(np.ones(9))})
        total = self.compute([entry("gradient_conflict")])["gradient_conflict"].kept["total"]
        np.testing.assert_allclose(total, [3 - 9, 0], atol=1e-12)

    def test_total_lies_on_the_model_axis(self):
        self.zoo({"b": tasks(np.ones(4), np.arange(4.0)), "none": Network(logits=np.ones((4, 2))), "a": tasks(np.ones(4))})
        found = self.compute([entry("gradient_conflict")])["gradient_conflict"]
        with h5py.File(self.path / "results.h5") as file:
            total = file["kept/gradient_conflict/total"]
            self.assertEqual(total.dims[0][0], file["model_a"])
            self.assertEqual([s.decode() for s in file["model_a"][()]], ["b", "none", "a"])
        self.assertTrue(np.isnan(found.kept["total"][1]))
        self.assertLess(found.kept["total"][0], 0)
        self.assertEqual(found.kept["total"][2], 0)

    def test_near_parallel(self):
        """Angles down to 1e-7: the conflict, of the order of the angle's square, is right relative to itself, and so is
        that of near-opposite gradients."""
        random = np.random.default_rng(3)
        base = random.standard_normal(2000)
        near = [base * (2 + t) + t * random.standard_normal(2000) for t in (1e-3, 1e-5, 1e-7)]
        networks = {"m": tasks(base, *near, -base, *(-g for g in near))}
        self.zoo(networks)
        table = expected(networks, entry("gradient_conflict"))
        for precision in PRECISIONS:
            found = self.compute(BOTH, precision=precision)
            np.testing.assert_allclose(found["gradient_conflict"].values, table.values, rtol=1e-6, atol=1e-300)
            self.assertTrue((abs(found["gradient_cosine"].values) <= 1 + 1e-15).all())

    def test_zero_spoilt_and_other_lengths(self):
        nan = np.ones(30)
        nan[11] = np.inf
        networks = {"m": tasks(*related_gradients(4, 2, 30), np.zeros(30)), "spoilt": tasks(np.arange(30.0), nan),
                    "long": tasks(np.ones(31)), "none": Network(logits=np.ones((4, 2)))}
        self.check(networks, BOTH, code=3)

    def test_other_lengths_alone_are_no_failure(self):
        self.check({"m": tasks(np.ones(30)), "long": tasks(np.ones(31))}, BOTH, code=0)

    def test_conflict_of_a_zero_gradient(self):
        tensors = self.check({"m": tasks(np.zeros(10), np.ones(10))}, [entry("gradient_conflict")], code=0)
        np.testing.assert_array_equal(tensors["gradient_conflict"].values, 0)

    def test_magnitudes(self):
        """Squares beyond the range of float32, and of double."""
        for scale, dtype in ((1e30, np.float32), (1e-30, np.float32), (1e200, np.float64), (1e-200, np.float64)):
            with self.subTest(scale=scale):
                networks = {"m": tasks(*((scale * g).astype(dtype) for g in related_gradients(6, 3, 50)))}
                self.check(networks, BOTH)

    def test_millions_of_parameters(self):
        networks = {f"m{k}": tasks(*related_gradients(20 + k, 2, 3_000_001, np.float32)) for k in range(2)}
        self.check(networks, BOTH, ranks=2)


class Fisher(TablesTestCase):
    OUTPUT, QUADRATIC, TASK = (entry("fisher", form, form=form) for form in ("output", "quadratic", "task"))

    def test_output(self):
        random = np.random.default_rng(1)
        shared = 2 * random.standard_normal((101, 7))
        networks = {f"m{k}": Network(logits=(shared + k * random.standard_normal(shared.shape)).astype(dtype))
                    for k, dtype in enumerate((np.float64, np.float32, np.float16, np.float64))}
        networks["confident"] = Network(logits=1e4 * shared)
        networks["near"] = Network(logits=shared + 1e-7 * random.standard_normal(shared.shape))
        networks["shifted"] = Network(logits=shared + 1e3)
        self.check(networks, [self.OUTPUT], ranks=3)

    def test_output_is_the_default(self):
        random = np.random.default_rng(2)
        self.check({f"m{k}": Network(logits=random.standard_normal((9, 3))) for k in range(2)}, [entry("fisher")])

    def test_near_equal_outputs(self):
        """The distance, not its square, is right relative to itself."""
        random = np.random.default_rng(3)
        logits = random.standard_normal((50, 5))
        networks = {f"m{t}": Network(logits=logits + t * random.standard_normal(logits.shape)) for t in (0, 1e-4, 1e-8)}
        self.zoo(networks)
        table = expected(networks, self.OUTPUT)
        for precision in PRECISIONS:
            np.testing.assert_allclose(self.compute([self.OUTPUT], precision=precision)["output"].values, table.values, rtol=1e-6)

    def test_bernoulli(self):
        """2 |arcsin sqrt p - arcsin sqrt q|; pi for disjoint outputs."""
        p = np.array([0, 1e-6, 0.1, 0.5, 0.9, 1])
        with np.errstate(divide="ignore"):
            logits = np.clip(np.log(p) - np.log1p(-p), -1e4, 1e4)
        self.zoo({f"p{x:g}": Network(logits=np.array([[logit, 0.0]] * 4)) for x, logit in zip(p, logits)})
        angles = np.arcsin(np.sqrt(p))
        for precision in PRECISIONS:
            values = self.compute([self.OUTPUT], precision=precision)["output"].values
            np.testing.assert_allclose(values, 2 * abs(angles[:, None] - angles), rtol=1e-9, atol=1e-15)

    def test_output_range_and_triangle(self):
        random = np.random.default_rng(4)
        self.zoo({f"m{k}": Network(logits=10**k * random.standard_normal((20, 4))) for k in range(6)})
        D = self.compute([self.OUTPUT])["output"].values
        self.assertTrue((D <= np.pi).all())
        self.assertTrue((D[:, None, :] <= D[:, :, None] + D[None] + 1e-9).all())

    def test_output_undefined(self):
        random = np.random.default_rng(5)
        logits = random.standard_normal((12, 4))
        spoilt = logits.copy()
        spoilt[11, 3] = np.nan
        networks = {"sound": Network(logits=logits), "samples": Network(logits=logits[:9]),
                    "classes": Network(logits=logits[:, :3]),
                    "spoilt": Network(logits=spoilt), "none": Network(weights=mlp_weights(0))}
        self.check(networks, [self.OUTPUT], code=3, ranks=2)
        del networks["spoilt"]
        self.check(networks, [self.OUTPUT], code=0, ranks=2)

    def test_the_sample_limit_counts_for_logits(self):
        """Before their numbers are compared."""
        random = np.random.default_rng(6)
        networks = {f"m{k}": Network(logits=random.standard_normal((20 + k, 4))) for k in range(2)}
        self.zoo(networks)
        limited = {name: Network(logits=network.logits[:15]) for name, network in networks.items()}
        found = self.compute([self.OUTPUT], precision="double", select={"samples": 15})["output"]
        self.assertTable(found, expected(limited, self.OUTPUT), "output")

    def sampled(self, seed, m, widths=(5, 6, 3), size=0.1, **attributes):
        weights = mlp_weights(seed, widths)
        p = sum(array.size for array in weights.values())
        samples = np.random.default_rng(100 + seed).standard_normal((m, p)) + size
        return Network(weights=weights, sample_gradients=Stored(samples, attributes=attributes) if attributes else samples)

    def test_quadratic_and_task(self):
        networks = {f"m{k}": self.sampled(k, m) for k, m in enumerate((9, 1, 33, 20))}
        networks["other"] = self.sampled(7, 9, (5, 6, 4))
        networks["no_weights"] = Network(sample_gradients=networks["m0"].sample_gradients)
        networks["no_samples"] = Network(weights=mlp_weights(3, (5, 6, 3)))
        self.check(networks, [self.QUADRATIC, self.TASK], ranks=3)

    def test_order_of_flattening(self):
        """`parameters` names it; else it is that of the weights."""
        names = ["fc1.bias", "fc0.weight", "fc1.weight", "fc0.bias"]
        networks = {"listed": self.sampled(2, 8, parameters=names), "plain": self.sampled(1, 8)}
        networks["reversed"] = self.sampled(3, 8)
        networks["reversed"].weights = dict(reversed(networks["reversed"].weights.items()))
        self.check(networks, [self.QUADRATIC])
        for network in networks.values():
            for position, name in enumerate(network.weights):
                network.weights[name] = Stored(network.weights[name], attributes={"order": position})
        self.zoo(networks, track_order=False)
        found = self.compute([self.QUADRATIC], precision="double")["quadratic"]
        self.assertTable(found, expected(networks, self.QUADRATIC), "quadratic")

    def test_near_equal_weights(self):
        """A difference of 1e-7 is taken before it is multiplied."""
        networks = {"m": self.sampled(1, 8)}
        near = {name: array + 1e-7 * np.sin(np.arange(array.size)).reshape(array.shape)
                for name, array in networks["m"].weights.items()}
        networks["near"] = Network(weights=near, sample_gradients=networks["m"].sample_gradients)
        networks["far"] = self.sampled(2, 8)
        self.zoo(networks)
        for precision in PRECISIONS:
            found = self.compute([self.QUADRATIC], precision=precision)["quadratic"]
            np.testing.assert_allclose(found.values, expected(networks, self.QUADRATIC).values, rtol=1e-6)

    def test_task_range_and_undefined(self):
        p = 12
        one, other = np.zeros((2, 5, p))
        one[:, :6], other[:, 6:] = 1e-3, 1e3
        networks = {"one": Network(sample_gradients=one), "other": Network(sample_gradients=other),
                    "zero": Network(sample_gradients=np.zeros((3, p))), "nan": Network(sample_gradients=np.full((2, p), np.nan)),
                    "longer": Network(sample_gradients=np.ones((4, p + 1)))}
        found = self.check(networks, [self.TASK], code=3)["task"]
        self.assertAlmostEqual(found.at("one", "other"), 1, places=14)


def recorded(values, radius=(0.01, 0.05), dtype=np.float64):
    return Network(sharpness=Stored(np.asarray(values, dtype=dtype), attributes={"radius": np.asarray(radius)}))


class Sharpness(TablesTestCase):
    RECORDED, QUADRATIC = (entry("sharpness", form, form=form) for form in ("recorded", "quadratic"))

    def test_recorded(self):
        """Batches are averaged, however many there are."""
        random = np.random.default_rng(1)
        networks = {f"m{k}": recorded(random.random((2, batches)), dtype=dtype)
                    for k, (batches, dtype) in enumerate(((4, np.float64), (7, np.float32), (1, np.float16), (30, np.float64)))}
        self.check(networks, [self.RECORDED], ranks=3)

    def test_recorded_is_the_default(self):
        tensors = self.check({"a": recorded([[1, 3], [0, 0]]), "b": recorded([[5, 5], [4, 4]])}, [entry("sharpness")])
        self.assertEqual(tensors["sharpness"].at("a", "b"), 5)

    def test_recorded_undefined(self):
        networks = {"a": recorded([[1, 3], [0, 0]]), "radius": recorded([[1, 3], [0, 0]], (0.01, 0.06)),
                    "radii": recorded([[1, 3]], (0.01,)), "nan": recorded([[1, np.nan], [0, 0]]),
                    "none": Network(logits=np.ones((4, 2)))}
        self.check(networks, [self.RECORDED], code=3)
        del networks["nan"]
        self.check(networks, [self.RECORDED], code=0)

    def samples(self, seed, m=8, p=40, mean=0.3, dtype=np.float64):
        random = np.random.default_rng(seed)
        return Network(sample_gradients=(random.standard_normal((m, p)) + mean).astype(dtype))

    def test_quadratic(self):
        networks = {"m0": self.samples(0), "m1": self.samples(1, 30, 7), "m2": self.samples(2, 3, 500, dtype=np.float32),
                    "one": self.samples(3, 1), "half": self.samples(4, dtype=np.float16),
                    "zero": Network(sample_gradients=np.zeros((3, 9))),
                    "none": Network(logits=np.ones((4, 2)))}
        entries = [self.QUADRATIC, *(entry("sharpness", f"radii{k}", form="quadratic", radius=radius)
                                     for k, radius in enumerate(([0.05, 0.1], [1e-6], [1e-4, 1, 100], [7])))]
        self.check(networks, entries, ranks=2)

    def test_quadratic_maxima_in_closed_form(self):
        """One gradient of length 5; none but a top eigenvalue of 4/2; the hard case with F = diag(4, 1)."""
        zero = np.zeros((1, 2))
        networks = {"zero": zero, "one": np.array([[3.0, 4.0]]), "minimum": np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]]),
                    "hard": np.array([[2.0, 1.0], [-2.0, 1.0]])}
        self.zoo({name: Network(sample_gradients=samples) for name, samples in networks.items()})
        for radius, hard in ((0.1, 0.1 + 0.1**2 / 2), (1.0, 1 / 3 + 1 / 18 + 2 * (1 - 1 / 9))):
            expected_row = [0, 5 * radius + (5 * radius) ** 2 / 2, radius**2, hard]
            asked = entry("sharpness", "s", form="quadratic", radius=[radius])
            for precision in PRECISIONS:
                with self.subTest(radius=radius, precision=precision):
                    values = self.compute([asked], precision=precision)["s"].values
                    np.testing.assert_allclose(values[0], expected_row, rtol=1e-12)

    def test_quadratic_undefined(self):
        spoilt = self.samples(5)
        spoilt.sample_gradients[7, 39] = np.inf
        self.check({"a": self.samples(0), "spoilt": spoilt, "none": Network(logits=np.ones((4, 2)))}, [self.QUADRATIC], code=3)


if __name__ == "__main__":
    unittest.main()
