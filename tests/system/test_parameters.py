"""weight_frobenius and path_norm against the oracle, closed forms and inequalities."""

import unittest

import h5py
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from arrays import mlp_weights
from networks import Network, Stored, contents
from tables import TablesTestCase, entry, expected, print_deviations
from zoogram import SHORT, zoogram

tearDownModule = print_deviations
PRECISIONS = ("double", "single")
SAME = {"double": 1e-12, "single": 1e-6}  # two ways to the same number, relative to the largest


def moved(weights, size, seed):
    """A copy whose every number has moved by `size` times its array's root mean square."""
    random = np.random.default_rng(seed)
    return {name: contents(array) + size * np.sqrt((contents(array) ** 2).mean()) * random.standard_normal(contents(array).shape)
            for name, array in weights.items()}


class WeightFrobenius(TablesTestCase):
    ENTRIES = [entry("weight_frobenius", relative=relative, per=per) for relative in (0, 1) for per in ("model", "matrix")]

    def test_every_shape_type_and_way_of_storing(self):
        random = np.random.default_rng(1)
        networks = {}
        for k, dtype in enumerate((np.float64, np.float32, np.float16)):
            normal = lambda *shape: np.asarray(random.standard_normal(shape)).astype(dtype)
            arrays = {"scalar": normal(), "bias": normal(7), "matrix": normal(7, 7), "table": normal(3, 4, 5),
                      "kernel": normal(4, 2, 3, 3), "packed": Stored(normal(40, 30), {"compression": "gzip", "chunks": (7, 30)}),
                      "shuffled": Stored(normal(7), {"compression": "gzip", "shuffle": True, "chunks": (3,)})}
            arrays["scalar"] = Stored(arrays["scalar"], attributes={"kind": "other"})
            names = list(arrays)[::-1] if k else list(arrays)
            networks[f"m{k}"] = Network(weights={name: arrays[name] for name in names})
        self.check(networks, self.ENTRIES, ranks=3)

    def test_faulty_models_leave_the_others_as_they_are(self):
        base = mlp_weights(2)
        spoilt = {name: array.copy() for name, array in base.items()}
        spoilt["fc1.bias"][3] = np.nan
        networks = {
            "sound": Network(weights=base), "near": Network(weights=moved(base, 1e-6, 3)),
            "renamed": Network(weights={f"layer.{name}": array for name, array in base.items()}),
            "reshaped": Network(weights={**base, "fc0.weight": base["fc0.weight"].T}),
            "partial": Network(weights={name: base[name] for name in list(base)[:3]}),
            "spoilt": Network(weights=spoilt), "none": Network(logits=np.ones((4, 2))),
        }
        self.check(networks, self.ENTRIES, ranks=2, code=3)

    def test_shapes_that_differ_and_absent_weights_are_no_failure(self):
        networks = {"a": Network(weights={"w": np.ones((2, 3))}), "b": Network(weights={"w": np.ones((3, 2))}),
                    "none": Network(logits=np.ones((4, 2)))}
        self.check(networks, [entry("weight_frobenius")], code=0)

    def test_zero_weights(self):
        networks = {"zero": Network(weights={"w": np.zeros((3, 3))}), "other": Network(weights={"w": np.zeros((3, 3))}),
                    "one": Network(weights={"w": np.ones((3, 3))})}
        self.check(networks, [entry("weight_frobenius")], code=0)
        self.check(networks, [entry("weight_frobenius", relative=1)], code=3)

    def test_clusters_of_near_equal_copies(self):
        """Distances within a cluster are 1e-6 of those between them and have to be right to 1e-6 of themselves."""
        networks = {}
        for cluster in range(3):
            base = mlp_weights(10 + cluster, (30, 40, 20, 10))
            networks[f"base{cluster}"] = Network(weights=base)
            for k in range(3):
                networks[f"copy{cluster}.{k}"] = Network(weights=moved(base, 1e-6 * 10.0**-k, 100 * cluster + k))
        self.near(networks, [entry("weight_frobenius"), entry("weight_frobenius", relative=1)])

    def test_near_equal_copies_in_single_and_half_precision(self):
        """One unit in the last place of a few numbers."""
        networks = {}
        for name, dtype in (("half", np.float16), ("single", np.float32)):
            base = {key: array.astype(dtype) for key, array in mlp_weights(20, (30, 40, 20)).items()}
            step = {key: array.copy() for key, array in base.items()}
            step["fc0.weight"][:2] = np.nextafter(step["fc0.weight"][:2], dtype(9))
            networks.update({name: Network(weights=base), f"{name}.step": Network(weights=step)})
        self.near(networks, [entry("weight_frobenius")])

    def near(self, networks, entries):
        """Every single distance is right to 1e-6 of itself, in either precision."""
        self.zoo(networks)
        for precision in PRECISIONS:
            tensors = self.compute(entries, precision=precision, ranks=2)
            for asked in entries:
                found, table = tensors[asked["name"]], expected(networks, asked)
                self.assertCodes(found, table.codes, asked["name"])
                np.testing.assert_allclose(found.values, table.values, rtol=1e-6, err_msg=f"{asked['name']} {precision}")

    def test_triangle_inequality_and_symmetry(self):
        networks = {f"m{k}": Network(weights=mlp_weights(k)) for k in range(8)}
        self.zoo(networks)
        for precision in PRECISIONS:
            D = self.compute([entry("weight_frobenius")], precision=precision)["weight_frobenius"].values
            np.testing.assert_array_equal(D, D.T)
            self.assertTrue((D[:, None, :] <= D[:, :, None] + D[None] + 1e-6).all())

    def test_rotations_and_singular_values(self):
        """F(W - QW) = F((1 - Q) W); Mirsky: the singular values differ by no more than the matrices."""
        random = np.random.default_rng(31)
        W, other = random.standard_normal((2, 12, 8))
        Q = np.linalg.qr(random.standard_normal((12, 12)))[0]
        self.zoo({name: Network(weights={"w": array}) for name, array in (("w", W), ("qw", Q @ W), ("other", other))})
        for precision in PRECISIONS:
            D = self.compute([entry("weight_frobenius")], precision=precision)["weight_frobenius"].values
            self.assertAlmostEqual(D[0, 1] / np.linalg.norm((np.eye(12) - Q) @ W), 1, delta=10 * SAME[precision])
            spectra = [np.linalg.svd(array, compute_uv=False) for array in (W, Q @ W, other)]
            for i in range(3):
                for j in range(3):
                    self.assertLessEqual(np.linalg.norm(spectra[i] - spectra[j]), D[i, j] + 1e-6)

    def test_magnitudes(self):
        """Squares beyond the range of float32."""
        base = mlp_weights(33)
        for scale in (1e25, 1e-25):
            networks = {f"m{k}": Network(weights={n: (scale * a).astype(np.float32) for n, a in mlp_weights(k).items()})
                        for k in range(3)}
            self.check(networks, self.ENTRIES)
        self.check({"large": Network(weights={n: 1e200 * a for n, a in base.items()}),
                    "larger": Network(weights={n: 3e200 * a for n, a in base.items()})},
                   [entry("weight_frobenius", relative=1)])

    def test_a_diverged_model_leaves_the_others_as_they_are(self):
        """Weights near the end of float32's range beside ordinary ones, and tiny ones."""
        networks = {f"m{k}": Network(weights={
            name: np.float32(scale) * array for name, array in mlp_weights(k, dtype=np.float32).items()})
                    for k, scale in enumerate((1, 1e20, 1, 1e30, 1, 1e-15, 1e-15))}
        self.near(networks, self.ENTRIES)

    def test_millions_of_parameters(self):
        random = np.random.default_rng(34)
        networks = {f"m{k}": Network(weights={"w": random.standard_normal((1500, 1000)).astype(np.float32),
                                              "v": random.standard_normal(300_001).astype(np.float32)}) for k in range(3)}
        self.check(networks, [entry("weight_frobenius", per=per) for per in ("model", "matrix")], ranks=2)

    def test_one_model(self):
        self.check({"only": Network(weights=mlp_weights(0))}, self.ENTRIES, ranks=3)


def convolution(kernel, input_size, **geometry):
    return Stored(kernel, attributes={"kind": "conv", "input_size": input_size, **geometry})


def sparse_convolution(kernel, size, stride):
    """The operator of a 3 x 3 kernel with zero padding of 1 on size x size."""
    count = (size - 1) // stride + 1
    shifts = []
    for tap in range(3):
        column = np.arange(count) * stride + tap - 1
        inside = (column >= 0) & (column < size)
        shifts.append(sparse.csr_matrix((np.ones(inside.sum()), (np.arange(count)[inside], column[inside])), (count, size)))
    return sum(sparse.kron(kernel[:, :, a, b], sparse.kron(shifts[a], shifts[b])) for a in range(3) for b in range(3)).tocsr()


class PathNorm(TablesTestCase):
    SPECTRAL = [entry("path_norm")]
    PATHS = [entry("path_norm", norm=f"path{p}") for p in (1, 2)]

    def check(self, networks, entries, **keys):
        """As above; what is kept beside the tensor as well."""
        tensors = super().check(networks, entries, **keys)
        for asked in entries:
            table, kept = expected(networks, asked), tensors[asked["name"]].kept
            self.assertLessEqual({"value", "log_value"}, set(kept))
            sound = np.isfinite(table.kept["log_value"])
            np.testing.assert_allclose(kept["log_value"][sound], table.kept["log_value"][sound], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(kept["value"][sound], table.kept["value"][sound], rtol=1e-8)
        return tensors

    def test_chains(self):
        chains = [((6, 9, 7, 4), np.float64), ((3, 300, 5), np.float32), ((8, 2), np.float16)]
        networks = {f"m{k}": Network(weights=mlp_weights(k, widths, dtype)) for k, (widths, dtype) in enumerate(chains)}
        self.check(networks, self.SPECTRAL + self.PATHS, ranks=2)

    def test_convolutions(self):
        """Zero-padded, circular, strided, dilated, grouped, asymmetric; 1 x 1, non-square, larger than the input."""
        random = np.random.default_rng(41)
        normal = random.standard_normal
        geometries = {
            "plain": ((4, 3, 3, 3), [6, 5], {}),
            "padded": ((4, 3, 3, 3), [6, 5], {"padding": 1}),
            "padded_twice": ((4, 3, 3, 3), [6, 5], {"padding": [2, 1]}),
            "asymmetric": ((4, 3, 2, 4), [6, 7], {"padding": [0, 1, 2, 1]}),
            "strided": ((4, 3, 3, 3), [7, 6], {"padding": 1, "stride": 2}),
            "strided_one_way": ((2, 3, 3, 3), [7, 6], {"padding": 1, "stride": [1, 3]}),
            "dilated": ((4, 3, 3, 3), [9, 8], {"padding": [2, 1], "dilation": [2, 1]}),
            "grouped": ((6, 2, 3, 3), [5, 5], {"padding": 1, "groups": 3}),
            "depthwise": ((4, 1, 3, 3), [5, 6], {"padding": 1, "groups": 4, "stride": 2}),
            "circular": ((4, 3, 3, 3), [6, 5], {"padding": 1, "padding_mode": "circular"}),
            "circular_strided": ((4, 3, 3, 3), [6, 6], {"padding": 1, "stride": 2, "padding_mode": "circular"}),
            "circular_shrinking": ((4, 3, 3, 3), [6, 5], {"padding": [1, 0], "padding_mode": "circular"}),
            "circular_grouped": ((4, 2, 3, 3), [6, 5], {"padding": 1, "groups": 2, "dilation": 2, "padding_mode": "circular"}),
            "circular_even": ((3, 3, 2, 2), [4, 4], {"padding": [1, 0, 1, 0], "padding_mode": "circular"}),
            "one_by_one": ((5, 7, 1, 1), [4, 3], {}),
            "one_by_one_strided": ((5, 7, 1, 1), [4, 3], {"stride": 2}),
            "patches": ((5, 3, 4, 4), [8, 8], {"stride": 4}),
            "kernel_as_large": ((4, 2, 5, 5), 5, {"padding": 2}),
            "vector": ((3, 2, 1, 5), [1, 20], {"padding": [0, 2]}),
        }
        networks = {name: Network(weights={"k": convolution(normal(shape), size, **geometry)})
                    for name, (shape, size, geometry) in geometries.items()}
        networks["network"] = Network(weights={
            "c1": convolution(normal((4, 3, 3, 3)), 8, padding=1), "c1.bias": normal(4),
            "c2": convolution(normal((5, 4, 3, 3)).astype(np.float32), 8, padding=1, stride=2), "fc": normal((3, 80))})
        self.check(networks, self.SPECTRAL, ranks=3)

    def test_kinds_by_default(self):
        """2-D is linear and 4-D a convolution where nothing else is said; other kinds do not enter."""
        random = np.random.default_rng(42)
        W, table, kernel = random.standard_normal((4, 3)), random.standard_normal((9, 3)), random.standard_normal((2, 2, 3, 3))
        networks = {
            "default": Network(weights={"w": W, "k": Stored(kernel, attributes={"input_size": 4})}),
            "said": Network(weights={"w": Stored(W, attributes={"kind": "linear"}), "k": convolution(kernel, [4, 4])}),
            "more": Network(weights={"t": Stored(table, attributes={"kind": "embedding"}), "w": W, "b": np.ones(4),
                                     "k": convolution(kernel, 4), "n": Stored(np.ones(3), attributes={"kind": "norm"}),
                                     "o": Stored(table, attributes={"kind": "other"})}),
        }
        found = self.check(networks, self.SPECTRAL)["path_norm"]
        np.testing.assert_allclose(found.values, 0, atol=1e-9)

    def test_orthogonal_and_scaled(self):
        """Orthogonal weights are at distance 0 from each other; W -> cW adds log c."""
        random = np.random.default_rng(43)
        Q, R = (np.linalg.qr(random.standard_normal((30, 30)))[0] for _ in range(2))
        weights = {"q": {"a": Q, "b": R}, "r": {"a": R}, "scaled": {"a": 5 * Q, "b": R}}
        self.zoo({name: Network(weights=arrays) for name, arrays in weights.items()})
        for precision in PRECISIONS:
            values = self.compute(self.SPECTRAL, precision=precision)["path_norm"].values
            np.testing.assert_allclose(values[0], [0, 0, np.log(5)], atol=1e-10)

    def test_products_beyond_the_range_of_double(self):
        networks = {name: Network(weights={f"w{k}": scale * np.eye(3) for k in range(100)})
                    for name, scale in (("huge", 1e10), ("tiny", 1e-10), ("one", 1.0))}
        tensors = self.check(networks, self.SPECTRAL + self.PATHS)
        self.assertAlmostEqual(tensors["path_norm"].at("huge", "tiny") / (2000 * np.log(10)), 1, places=9)

    def test_large_matrices(self):
        """Beyond what is decomposed whole: a prescribed largest singular value among close others."""
        random = np.random.default_rng(44)
        Q, R = (np.linalg.qr(random.standard_normal((rows, 500)))[0] for rows in (700, 500))
        networks = {f"gap{gap}": Network(weights={"w": (Q * np.r_[1, np.full(499, 1 - gap)]) @ R.T})
                    for gap in (0.5, 1e-3, 1e-7, 0)}
        self.zoo(networks)
        found = self.compute(self.SPECTRAL, ranks=2)["path_norm"]
        self.assertFalse(found.codes.any())
        np.testing.assert_allclose(found.kept["log_value"], 0, atol=1e-10)

    @unittest.skipIf(SHORT, "seconds per operator")
    def test_convolutions_of_usual_sizes(self):
        """Too large to be written out; ARPACK's largest singular value of the sparse matrix. Random kernels, as of networks
        before training, have many singular values close to the largest."""
        random = np.random.default_rng(47)
        networks, logs = {}, []
        for k, (channels, size, stride) in enumerate(((32, 20, 1), (32, 24, 2), (48, 14, 1))):
            kernel = random.standard_normal((channels, channels, 3, 3)).astype(np.float32)
            networks[f"m{k}"] = Network(weights={"k": convolution(kernel, size, padding=1, stride=stride)})
            operator = sparse_convolution(kernel.astype(float), size, stride)
            logs.append(np.log(svds(operator, 1, return_singular_vectors=False, random_state=0)[0]))
        self.zoo(networks)
        found = self.compute(self.SPECTRAL, ranks=2)["path_norm"]
        np.testing.assert_allclose(found.kept["log_value"], logs, rtol=1e-9)

    def test_convolutions_that_cannot_be_known(self):
        """No input size, or a padding that is no operator of ours: absent data, a warning that names it, and exit 0."""
        kernel = np.random.default_rng(45).standard_normal((2, 2, 3, 3))
        networks = {"sound": Network(weights={"k": convolution(kernel, 4)}),
                    "other": Network(weights={"k": convolution(2 * kernel, 4)}),
                    "no_size": Network(weights={"w": np.eye(3), "k0": kernel}),
                    "reflect": Network(weights={"k1": convolution(kernel, 4, padding=1, padding_mode="reflect")})}
        self.check(networks, self.SPECTRAL, ranks=2)
        (self.path / "results.h5").unlink()
        finished = zoogram("run", self.path / "job.yaml", ranks=2)
        self.assertEqual(finished.code, 0, finished.report)
        for words in (("no_size", "k0", "input_size"), ("reflect", "k1", "padding_mode")):
            self.assertTrue(any(all(word in line for word in words) and "warning" in line for line in finished.err.splitlines()),
                            finished.report)

    def test_undefined(self):
        base = mlp_weights(46)
        nan = {**base, "fc1.weight": np.full((7, 9), np.nan)}
        zero = {**base, "fc1.weight": np.zeros((7, 9))}
        spoilt_bias = {**base, "fc1.bias": np.full(7, np.nan)}
        dead = {"a": np.diag([1.0, 0.0]), "b": np.diag([0.0, 1.0])}
        networks = {"sound": Network(weights=base), "nan": Network(weights=nan), "zero": Network(weights=zero),
                    "spoilt_bias": Network(weights=spoilt_bias), "none": Network(logits=np.ones((4, 2))),
                    "broken": Network(weights={"a": np.ones((3, 2)), "b": np.ones((4, 2))}),
                    "conv": Network(weights={"w": np.ones((3, 2)), "k": convolution(np.ones((2, 3, 1, 1)), 2)}),
                    "dead": Network(weights=dead)}
        self.check(networks, self.SPECTRAL + self.PATHS, code=3)

    def test_files(self):
        """What is kept lies on the model axis."""
        self.zoo({f"m{k}": Network(weights=mlp_weights(k)) for k in range(3)})
        self.compute(self.SPECTRAL)
        with h5py.File(self.path / "results.h5") as file:
            for quantity in ("value", "log_value"):
                dataset = file["kept/path_norm"][quantity]
                self.assertEqual(dataset.shape, (3,))
                self.assertEqual(dataset.dims[0][0], file["model_a"])


if __name__ == "__main__":
    unittest.main()
