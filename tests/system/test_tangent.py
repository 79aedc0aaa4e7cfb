"""ntk_distance and ntk_alignment against explicit Jacobians, closed forms and the limit of infinite width."""

import unittest

import h5py
import numpy as np

import oracle_tangent
from arrays import cnn_factors, mlp_factors, transformer_factors
from networks import Factors, Network, Stored
from tables import TablesTestCase, entry, expected, print_deviations
from zoogram import SHORT

tearDownModule = print_deviations
PRECISIONS = ("double", "single")
DISTANCES = [entry("ntk_distance", reduction=reduction, scale=scale)
             for reduction in ("trace", "full") for scale in ("none", "trace", "frobenius")]
ALIGNMENTS = [entry("ntk_alignment", reduction=reduction, centred=centred) for reduction in ("trace", "full") for centred in (1, 0)]


def explicit(network):
    """The same model by its Jacobian."""
    return Network(jacobian=oracle_tangent.jacobian(network).astype(float))


def scaled(factors, scale):
    """The same factors with every signal and direct derivative multiplied by a number."""
    grown = {}
    for name, layer in factors.items():
        signal = None if layer.signal is None else layer.signal * scale
        direct = None if layer.direct is None else layer.direct * scale
        grown[name] = Factors(layer.inputs, layer.index, signal, direct, layer.bias)
    return grown


class Kernels(TablesTestCase):
    def mixed(self, m=11, classes=4):
        """Every kind of layer and either source."""
        networks = {f"mlp{k}": Network(tangent=mlp_factors(k, m, classes=classes, dtype=dtype))
                    for k, dtype in enumerate((np.float64, np.float32))}
        networks["cnn"] = Network(tangent=cnn_factors(3, m, classes))
        networks["transformer"] = Network(tangent=transformer_factors(4, m, classes))
        networks["explicit"] = explicit(Network(tangent=mlp_factors(5, m, (3, 5), classes)))
        networks["half"] = Network(jacobian=np.random.default_rng(6).standard_normal((m, classes, 50)).astype(np.float16))
        return networks

    def test_every_kind_of_layer(self):
        self.check(self.mixed(), DISTANCES + ALIGNMENTS, ranks=3)

    def test_one_class_and_few_samples(self):
        for m, classes in ((1, 3), (2, 1), (5, 1)):
            with self.subTest(m=m, classes=classes):
                # Of one sample, all scaled kernels are 1 and all their distances 0.
                self.check(self.mixed(m, classes), DISTANCES if m > 1 else DISTANCES[:1] + DISTANCES[3:], ranks=2)

    def test_many_and_few_positions(self):
        """Either way of contracting a layer: positions outnumber the features, or the reverse."""
        random = np.random.default_rng(8)
        networks = {}
        for k, (S, inputs, outputs) in enumerate(((1, 40, 30), (60, 3, 2), (9, 27, 16), (100, 5, 1))):
            networks[f"S{S}"] = Network(tangent={"layer": Factors(
                inputs=random.standard_normal((6, S, inputs)), bias=k % 2, signal=random.standard_normal((6, 3, S, outputs)))})
        self.check(networks, DISTANCES + ALIGNMENTS, ranks=2)

    def test_embedding_tables(self):
        """Rows that repeat within a sample and between samples; integers of all kinds; a bias besides."""
        random = np.random.default_rng(9)
        networks = {}
        for k, (kind, bias) in enumerate(((np.int8, 0), (np.uint16, 0), (np.int32, 1), (np.int64, None))):
            networks[f"m{k}"] = Network(tangent={"table": Factors(
                index=random.integers(0, 4, (8, 6)).astype(kind), bias=bias, signal=random.standard_normal((8, 3, 6, 5)))})
        networks["wide"] = Network(tangent={"table": Factors(
            index=np.array([[0, 50_000], [50_000, 3], [7, 7]] * 3)[:8], bias=0, signal=random.standard_normal((8, 3, 2, 5)))})
        tables = {asked["name"]: expected(networks, asked) for asked in DISTANCES[:1]}
        self.zoo(networks)
        for precision in PRECISIONS:
            self.assertTables(self.compute(DISTANCES[:1], precision=precision, ranks=2), tables, precision)

    def test_sources(self):
        """Factors and the Jacobian that they stand for are the same model; auto takes the factors."""
        factors = mlp_factors(1)
        both = Network(tangent=factors, jacobian=np.random.default_rng(12).standard_normal((11, 4, 7)))
        networks = {"factors": Network(tangent=factors), "explicit": explicit(Network(tangent=factors)), "both": both,
                    "other": Network(tangent=cnn_factors(2))}
        entries = [entry("ntk_distance", source=source, reduction=reduction)
                   for source in ("auto", "factors", "jacobian") for reduction in ("trace", "full")]
        entries += [entry("ntk_alignment", source=source) for source in ("auto", "factors", "jacobian")]
        self.zoo(networks)
        tensors = self.compute(entries, precision="double")
        for asked in entries:
            self.assertCodes(tensors[asked["name"]], expected(networks, asked).codes, asked["name"])
        values = tensors["ntk_distance_source_auto_reduction_full"].values
        self.assertLess(values[:3, :3].max(), 1e-9 * values[0, 3])
        self.check(dict(list(networks.items())[1:]), entries[1:], precisions=["double"])

    def test_linear_model(self):
        """Theta = XX' + 1: the distance of two sets of inputs is F(XX' - YY')."""
        random = np.random.default_rng(10)
        X, Y = random.standard_normal((2, 9, 5))
        self.zoo({name: Network(tangent={"fc": Factors(inputs=inputs, signal=np.ones((9, 1, 1)))})
                  for name, inputs in (("x", X), ("y", Y))})
        for precision in PRECISIONS:
            value = self.compute([entry("ntk_distance")], precision=precision)["ntk_distance"].values[0, 1]
            self.assertAlmostEqual(value / np.linalg.norm(X @ X.T - Y @ Y.T), 1, delta=1e-6)

    def test_trace_is_the_sum_over_classes_of_full(self):
        """With one class the two are the same."""
        networks = {f"m{k}": Network(tangent=mlp_factors(k, classes=1)) for k in range(3)}
        self.zoo(networks)
        trace, full = self.compute([entry("ntk_distance", reduction=r) for r in ("trace", "full")], precision="double").values()
        np.testing.assert_allclose(trace.values, full.values, rtol=1e-12)

    def test_hidden_units_may_change_places(self):
        factors = mlp_factors(2)
        order = np.random.default_rng(11).permutation(9)
        shuffled = {**factors, "fc0": Factors(factors["fc0"].inputs, signal=factors["fc0"].signal[:, :, order]),
                    "fc1": Factors(factors["fc1"].inputs[:, order], signal=factors["fc1"].signal, bias=0)}
        networks = {"m": Network(tangent=factors), "shuffled": Network(tangent=shuffled), "other": Network(tangent=mlp_factors(3))}
        self.zoo(networks)
        found = self.compute([entry("ntk_distance"), entry("ntk_alignment")], precision="double")
        self.assertLess(found["ntk_distance"].values[0, 1], 1e-12 * found["ntk_distance"].values[0, 2])
        self.assertAlmostEqual(found["ntk_alignment"].values[0, 1], 1, places=12)

    def test_scales(self):
        """A kernel times c is at distance |c - 1| F, and 0 where scale removes it; alignment does not see it."""
        factors = mlp_factors(5)
        networks = {"m": Network(tangent=factors), "grown": Network(tangent=scaled(factors, 1.5))}
        self.zoo(networks)
        tensors = self.compute(DISTANCES + ALIGNMENTS, precision="double")
        for reduction in ("trace", "full"):
            K = oracle_tangent.kernel(oracle_tangent.jacobian(networks["m"]), reduction).astype(float)
            distance = tensors[f"ntk_distance_reduction_{reduction}_scale_none"].values[0, 1]
            self.assertAlmostEqual(distance / (1.25 * np.linalg.norm(K)), 1, places=12)
            for scale in ("trace", "frobenius"):
                self.assertLess(tensors[f"ntk_distance_reduction_{reduction}_scale_{scale}"].values[0, 1], 1e-14)
            for centred in (0, 1):
                self.assertAlmostEqual(tensors[f"ntk_alignment_reduction_{reduction}_centred_{centred}"].values[0, 1], 1, places=14)

    def test_magnitudes(self):
        """Kernels, and even more their squares, beyond the range of float32."""
        networks = {f"m{k}": Network(tangent=scaled(mlp_factors(k), 1e20)) for k in range(3)}
        networks["tiny"] = Network(tangent=scaled(mlp_factors(3), 1e-20))
        self.check(networks, DISTANCES + ALIGNMENTS)

    def test_ways_of_storing(self):
        factors = cnn_factors(6)
        packed = {name: Factors(**{key: Stored(array, {"compression": "gzip", "shuffle": True, "chunks": True})
                                   for key, array in (("inputs", layer.inputs), ("signal", layer.signal), ("direct", layer.direct))
                                   if array is not None}, bias=layer.bias) for name, layer in factors.items()}
        jacobian = explicit(Network(tangent=mlp_factors(7))).jacobian
        networks = {"packed": Network(tangent=packed), "plain": Network(tangent=factors),
                    "jacobian": Network(jacobian=Stored(jacobian, {"compression": "gzip", "chunks": (3, 2, 17)}))}
        self.zoo(networks)
        found = self.compute([entry("ntk_distance")], precision="double", ranks=2)["ntk_distance"]
        self.assertLess(found.at("packed", "plain"), 1e-12 * found.at("packed", "jacobian"))


class Teams(TablesTestCase):
    """Kernels of several tiles, on teams of every kind."""

    TEAMS = [(1, "auto"), (2, 1), (2, "all"), (3, 1), (3, "all"), (4, 2), (5, "auto"), (5, "all")]
    FEW_TEAMS = [(2, "all"), (3, 1)]

    def test_many_samples(self):
        m = 60 if SHORT else 170
        networks = {f"mlp{k}": Network(tangent=mlp_factors(k, m, (20, 30), 3, dtype))
                    for k, dtype in enumerate((np.float64, np.float32))}
        networks["cnn"] = Network(tangent=cnn_factors(7, m, 3, (5,)))
        networks["transformer"] = Network(tangent=transformer_factors(8, m, 3, 4))
        networks["explicit"] = Network(jacobian=np.random.default_rng(9).standard_normal((m, 3, 40)))
        tables = {asked["name"]: expected(networks, asked) for asked in DISTANCES + ALIGNMENTS}
        self.zoo(networks)
        first = {}
        for ranks, team in self.FEW_TEAMS if SHORT else self.TEAMS:
            for precision in PRECISIONS:
                with self.subTest(ranks=ranks, team_size=team, precision=precision):
                    tensors = self.compute(DISTANCES + ALIGNMENTS, ranks=ranks, team_size=team, precision=precision)
                    self.assertTables(tensors, tables, precision)
                    if team == 1 or ranks == 1:
                        for name, tensor in first.setdefault(precision, tensors).items():
                            same = tensors[name].values.tobytes() == tensor.values.tobytes()
                            self.assertTrue(same, f"{name}: not the bits of the first number of ranks")


class NearEqual(TablesTestCase):
    def test_factors_that_differ_by_a_millionth(self):
        """Distances of 1e-6 of the kernels are right to 1e-4 of themselves: in single precision as well, where nothing
        but the difference of rounded kernels would be left otherwise."""
        base = mlp_factors(1, 40, (12, 9), 3)
        random = np.random.default_rng(2)
        near = {name: Factors(layer.inputs, bias=layer.bias,
                              signal=layer.signal * (1 + 1e-6 * random.standard_normal(layer.signal.shape)))
                for name, layer in base.items()}
        networks = {"base": Network(tangent=base), "near": Network(tangent=near),
                    "grown": Network(tangent=scaled(base, 1 + 1e-6)), "far": Network(tangent=mlp_factors(3, 40, (12, 9), 3))}
        self.zoo(networks)
        tables = {asked["name"]: expected(networks, asked) for asked in DISTANCES}
        for precision in PRECISIONS:
            tensors = self.compute(DISTANCES, precision=precision, ranks=2)
            for name, table in tables.items():
                with self.subTest(name, precision=precision):
                    exact = table.values
                    resolved = exact > 1e-9 * exact.max()  # `grown` differs by rounding alone where scale removes it
                    np.testing.assert_allclose(tensors[name].values[resolved], exact[resolved], rtol=1e-4)
                    self.assertLess(np.abs(tensors[name].values[~resolved]).max(), 1e-9 * exact.max())

    def test_copies_are_at_distance_zero(self):
        factors = mlp_factors(4)
        self.zoo({"a": Network(tangent=factors), "copy": Network(tangent=factors), "b": Network(tangent=mlp_factors(5))})
        for precision in PRECISIONS:
            values = self.compute([entry("ntk_distance")], precision=precision)["ntk_distance"].values
            self.assertLess(values[0, 1], 1e-12 * values[0, 2])


class Undefined(TablesTestCase):
    def test_shapes_and_sources(self):
        """Classes that differ have a trace in common; samples that differ have nothing."""
        networks = {"m": Network(tangent=mlp_factors(1)), "same": Network(tangent=cnn_factors(2)),
                    "classes": Network(tangent=mlp_factors(3, classes=3)), "samples": Network(tangent=mlp_factors(4, m=10)),
                    "explicit": explicit(Network(tangent=mlp_factors(5, classes=3))), "none": Network(logits=np.ones((4, 2)))}
        self.check(networks, DISTANCES + ALIGNMENTS, code=0, ranks=2)

    def test_non_finite(self):
        spoilt = mlp_factors(1)
        spoilt["fc1"].signal[5, 2, 3] = np.nan
        infinite = transformer_factors(2)
        infinite["attention"].inputs[10, 6, 7] = np.inf
        jacobian = np.ones((11, 4, 9))
        jacobian[0, 0, 0] = np.nan
        networks = {"m": Network(tangent=mlp_factors(3)), "other": Network(tangent=cnn_factors(4)),
                    "spoilt": Network(tangent=spoilt),
                    "infinite": Network(tangent=infinite), "jacobian": Network(jacobian=jacobian)}
        for ranks in (1, 3):
            self.check(networks, DISTANCES + ALIGNMENTS, code=3, ranks=ranks)

    def test_zero_and_constant_kernels(self):
        """Nothing to scale by or to align with; unscaled, a kernel of zeros is at a distance."""
        zero = Network(tangent={"fc": Factors(inputs=np.ones((11, 3)), signal=np.zeros((11, 4, 2)))})
        flat = Network(tangent={"fc": Factors(inputs=np.full((11, 3), 0.1), signal=np.full((11, 4, 2), 0.3))})
        networks = {"m": Network(tangent=mlp_factors(1)), "zero": zero, "flat": flat}
        self.check(networks, DISTANCES + ALIGNMENTS, code=3)
        self.check(networks, [entry("ntk_distance", reduction=r) for r in ("trace", "full")], code=0)


class InfiniteWidth(TablesTestCase):
    """One hidden ReLU layer of `width` units, f(x) = sqrt(2/width) v.relu(Wx), standard normal v and W:
    Theta -> |x||y| (k1(r) + r k0(r)), k0 = 1 - acos(r)/pi, k1 = (sqrt(1-r^2) + r (pi - acos r))/pi (Jacot et al. 2018,
    Cho & Saul 2009). The limit enters as a model with a Cholesky factor for its Jacobian."""

    def network(self, X, width, seed):
        random = np.random.default_rng(seed)
        W, v = random.standard_normal((width, X.shape[1])), random.standard_normal(width)
        root = np.sqrt(2 / width)
        hidden = X @ W.T
        return Network(tangent={
            "hidden": Factors(inputs=X, signal=(root * v * (hidden > 0))[:, None], bias=0),
            "head": Factors(inputs=root * np.maximum(hidden, 0), signal=np.ones((len(X), 1, 1)), bias=0)})

    def limit(self, X):
        lengths = np.linalg.norm(X, axis=1)
        r = np.clip(X @ X.T / np.outer(lengths, lengths), -1, 1)
        angle = np.pi - np.arccos(r)
        return np.outer(lengths, lengths) * ((np.sqrt(1 - r**2) + r * angle) / np.pi + r * angle / np.pi)

    def test_error_falls_like_the_root_of_the_width(self):
        X = np.random.default_rng(1).standard_normal((12, 5))
        limit = self.limit(X)
        widths, seeds = (64, 1024, 16384), range(4 if SHORT else 8)
        networks = {"limit": Network(jacobian=np.linalg.cholesky(limit)[:, None])}
        networks.update({f"{width}/{seed}".replace("/", "-"): self.network(X, width, 1000 * width + seed)
                         for width in widths for seed in seeds})
        self.zoo(networks)
        found = self.compute([entry("ntk_distance", scale="frobenius"), entry("ntk_alignment")], precision="double")
        errors = found["ntk_distance_scale_frobenius"].values[0, 1:].reshape(len(widths), -1).mean(axis=1)
        self.assertLess(errors[-1], 0.03)
        for narrow, wide in zip(errors, errors[1:]):  # 16 times the width; seeds scatter by a third
            self.assertAlmostEqual(narrow / wide, 4, delta=1.6)
        alignment = found["ntk_alignment"].values[0, 1:].reshape(len(widths), -1).mean(axis=1)
        self.assertTrue((np.diff(alignment) > 0).all() and alignment[-1] > 0.999, alignment)


class Kept(TablesTestCase):
    def test_kernels_and_eigenvalues(self):
        networks = {f"m{k}": Network(tangent=mlp_factors(k, 13)) for k in range(2)}
        networks["transformer"] = Network(tangent=transformer_factors(2, 13))
        self.zoo(networks)
        asked = entry("ntk_distance", keep_kernel=1)
        kept = expected(networks, asked).kept
        for precision, ranks in (("double", 1), ("double", 3), ("single", 2)):
            with self.subTest(precision=precision, ranks=ranks):
                found = self.compute([asked], precision=precision, ranks=ranks)[asked["name"]].kept
                tolerance = {"double": 1e-12, "single": 1e-5}[precision] * kept["eigenvalues"].max()
                np.testing.assert_allclose(found["kernel"], kept["kernel"], atol=tolerance)
                np.testing.assert_allclose(np.sort(found["eigenvalues"]), kept["eigenvalues"], atol=tolerance)
                np.testing.assert_array_equal(found["kernel"], found["kernel"].transpose(0, 2, 1))
        with h5py.File(self.path / "results.h5") as file:
            group = file[f"kept/{asked['name']}"]
            self.assertEqual(group["kernel"].shape, (3, 13, 13))
            self.assertEqual(group["eigenvalues"].shape, (3, 13))
            for dataset in (group["kernel"], group["eigenvalues"]):
                self.assertEqual(dataset.dims[0][0], file["model_a"])

    def test_models_of_different_size(self):
        """A smaller kernel lies in the corner of its page, NaN around it; a model without one has NaN only. 70 and
        150 samples: more rows of NaN than are written at a time."""
        networks = {"large": Network(tangent=mlp_factors(1, 150)), "none": Network(logits=np.ones((4, 2))),
                    "small": Network(tangent=mlp_factors(2, 70))}
        self.zoo(networks)
        asked = entry("ntk_distance", keep_kernel=1)
        for ranks in (1, 2, 3):
            with self.subTest(ranks=ranks):
                found = self.compute([asked], precision="double", ranks=ranks)[asked["name"]].kept
                for page, name in ((0, "large"), (2, "small")):
                    kept = expected({name: networks[name]}, asked).kept
                    m = kept["kernel"].shape[1]
                    tolerance = 1e-12 * kept["eigenvalues"].max()
                    np.testing.assert_allclose(found["kernel"][page, :m, :m], kept["kernel"][0], atol=tolerance)
                    np.testing.assert_allclose(np.sort(found["eigenvalues"][page, :m]), kept["eigenvalues"][0], atol=tolerance)
                    self.assertEqual(np.isfinite(found["kernel"][page]).sum(), m * m)
                    self.assertEqual(np.isfinite(found["eigenvalues"][page]).sum(), m)
                self.assertTrue(np.isnan(found["kernel"][1]).all() and np.isnan(found["eigenvalues"][1]).all())

    def test_nothing_is_kept_unless_asked_for(self):
        self.zoo({f"m{k}": Network(tangent=mlp_factors(k)) for k in range(2)})
        self.assertNotIn("kernel", self.compute([entry("ntk_distance")])["ntk_distance"].kept)


class Sketches(TablesTestCase):
    """Kernels of hashed derivatives: unbiased, with an error that falls like the root of their length."""

    LENGTHS = (256, 65536)

    def networks(self):
        networks = {f"mlp{k}": Network(tangent=mlp_factors(k, 16, (30, 40), 3)) for k in range(4)}
        networks["cnn"] = Network(tangent=cnn_factors(4, 16, 3))
        networks["transformer"] = Network(tangent=transformer_factors(5, 16, 3))
        return networks

    def test_error_falls_like_the_root_of_the_length(self):
        """Root mean square over all pairs. The hashes are the same in every run, so that a ratio of errors scatters
        by a factor of 2 around that of the lengths' roots, which is 16."""
        networks = self.networks()
        exact = expected(networks, entry("ntk_distance")).values
        self.zoo(networks)
        tensors = self.compute([entry("ntk_distance", sketch=length) for length in self.LENGTHS], precision="double", ranks=2)
        short, long = (np.sqrt(((tensor.values - exact) ** 2).sum() / (exact**2).sum()) for tensor in tensors.values())
        self.assertLess(abs(np.log(short / long / 16)), np.log(2.5), f"{short:.2e}, {long:.2e}")
        # An entry of a kernel has the variance |J_a|^2 |J_b|^2 / length, or a few times that: sqrt(m / length) of the norm.
        self.assertLess(long, 3 * (16 / self.LENGTHS[1]) ** 0.5)

    def test_standard_errors_are_of_the_size_of_the_errors(self):
        """Per model the root mean square over its pairs: estimated and real ones agree within a factor of 3 on average
        (the entries of a row share their errors, so a single one may lie far from it)."""
        networks = self.networks()
        self.zoo(networks)
        for measure in ("ntk_distance", "ntk_alignment"):
            exact = expected(networks, entry(measure)).values
            entries = [entry(measure, sketch=length) for length in self.LENGTHS]
            tensors = self.compute(entries, precision="double")
            for asked in entries:
                with self.subTest(asked["name"]):
                    found = tensors[asked["name"]]
                    real = np.sqrt(((found.values - exact) ** 2).sum() / (exact.size - len(exact)))
                    estimated = np.sqrt((found.kept["standard_error"] ** 2).mean())
                    self.assertEqual(found.kept["standard_error"].shape, (len(networks),))
                    self.assertLess(abs(np.log(estimated / real)), np.log(3), f"estimated {estimated:.2e}, real {real:.2e}")

    def test_the_same_sketch_for_all_models(self):
        """Copies stay at distance 0, near copies near."""
        factors = mlp_factors(1, 16)
        self.zoo({"a": Network(tangent=factors), "copy": Network(tangent=factors), "near": Network(tangent=scaled(factors, 1.001)),
                  "far": Network(tangent=mlp_factors(2, 16))})
        values = self.compute([entry("ntk_distance", sketch=512)], precision="double")["ntk_distance_sketch_512"].values
        self.assertLess(values[0, 1], 1e-12 * values[0, 3])
        self.assertLess(values[0, 2], 0.05 * values[0, 3])

    def test_the_same_bits_on_any_number_of_ranks(self):
        self.zoo(self.networks())
        asked = [entry("ntk_distance", sketch=64), entry("ntk_alignment", sketch=64, reduction="full")]
        first = self.compute(asked, ranks=1, team_size=1)
        for ranks in (2, 3):
            again = self.compute(asked, ranks=ranks, team_size=1)
            for name, tensor in first.items():
                self.assertEqual(tensor.values.tobytes(), again[name].values.tobytes(), name)


if __name__ == "__main__":
    unittest.main()
