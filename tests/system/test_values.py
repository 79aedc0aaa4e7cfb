"""The program's numbers against the oracle: every estimator, precision, storage, rank count and team size.

The end of the run prints the largest deviation met per estimator, precision and number of ranks; ZOOGRAM_DEVIATIONS
names a file that receives the same table as Markdown.
"""

import os
import unittest
from collections import defaultdict
from pathlib import Path

import h5py
import numpy as np

import oracle
from arrays import golden, hard, related
from networks import Stored
from oracle import Measure, every_measure
from test_oracle import GOLDEN_XY
from zoogram import SHORT, SystemTestCase, read_results, write_zoo, zoogram

# Largest deviation allowed, relative to max(|value|, 1e-3 of the tensor's largest).
TOLERANCE = {("cka", "double"): 1e-9, ("hsic", "double"): 1e-9, ("cka", "single"): 2e-5, ("hsic", "single"): 1e-4}
FLOAT32_STORAGE = 6e-8  # half a unit in the last place

# (measure with kernel and estimator, precision, ranks) -> largest deviation met
met = defaultdict(float)


def tearDownModule():
    ranks = sorted({key[2] for key in met})
    rows = sorted({key[:2] for key in met})
    lines = ["| tensor | precision | allowed | " + " | ".join(f"{r} ranks" if r > 1 else "1 rank" for r in ranks) + " |",
             "|" + "---|" * (3 + len(ranks))]
    for estimator, precision in rows:
        cells = [f"{met[estimator, precision, r]:.1e}" if (estimator, precision, r) in met else "" for r in ranks]
        allowed = TOLERANCE[estimator.split()[0], precision]
        lines.append(f"| {estimator} | {precision} | {allowed:.0e} | " + " | ".join(cells) + " |")
    table = "\n".join(lines)
    print(f"\nLargest deviation from the oracle, relative to max(|value|, 1e-3 of the tensor's largest)\n\n{table}\n")
    if os.environ.get("ZOOGRAM_DEVIATIONS"):
        Path(os.environ["ZOOGRAM_DEVIATIONS"]).write_text(table + "\n", encoding="utf-8")


class ValuesTestCase(SystemTestCase):
    def assertTensor(self, found, expected, codes, measure, precision, ranks, storage="float64"):
        """A tensor agrees with the oracle's values and status codes."""
        np.testing.assert_array_equal(found.codes, codes, measure.name)
        deviation = oracle.deviation(found.values.astype(np.float64), expected)
        allowed = TOLERANCE[measure.measure, precision]
        if storage == "float32":
            allowed += FLOAT32_STORAGE
        else:
            key = (f"{measure.measure} {measure.kernel} {measure.estimator}", precision, ranks)
            met[key] = max(met[key], deviation)
        if deviation > allowed:
            worst = np.unravel_index(np.argmax(np.nan_to_num(abs(found.values - expected))), expected.shape)
            self.fail(
                f"{measure.name}, {precision}: deviation {deviation:.2e} > {allowed:.0e}; largest difference at "
                f"{found.rows[worst[0]]}, {found.columns[worst[1]]}: {found.values[worst]!r}, "
                f"oracle {expected[worst]!r}")

    def assertOracle(self, tensors, expected, precision, ranks=2, storage="float64"):
        """Every tensor agrees with what the oracle gave."""
        self.assertEqual(set(tensors), {m.name for m in expected})
        for measure, (values, codes) in expected.items():
            with self.subTest(measure=measure.name):
                self.assertTensor(tensors[measure.name], values, codes, measure, precision, ranks, storage)

    def check(self, models, measures, precisions=("double", "single"), ranks=2, **keys):
        """Compute and compare in both precisions; `models` as for write_zoo, the layers in the axes' order."""
        self.zoo(models)
        samples = keys.get("select", {}).get("samples") or None
        layers = [layer[:samples] for model in models.values() for layer in model.values()]
        names = [f"{model}/{layer}" for model in models for layer in models[model]]
        expected = oracle.tensors(layers, measures)
        for precision in precisions:
            with self.subTest(precision=precision):
                tensors = self.compute(expected, ranks=ranks, precision=precision, **keys)
                for tensor in tensors.values():
                    self.assertEqual(tensor.rows, names)
                    self.assertEqual(tensor.columns, names)
                self.assertOracle(tensors, expected, precision, ranks)


class Golden(ValuesTestCase):
    def test_published_values(self):
        measures = list(GOLDEN_XY)
        self.zoo({"golden": golden()})
        tensors = self.compute(measures, ranks=2, precision="double")
        for measure, published in GOLDEN_XY.items():
            value = tensors[measure.name].at("golden/X", "golden/Y")
            self.assertLess(abs(value - published) / published, 1e-9, measure.name)

    def test_every_option(self):
        self.check({"golden": golden()}, every_measure((0.2, 0.4, 0.8, 1.0), (20, 25, 50, 256)))


class Teams(ValuesTestCase):
    """All rank counts and team sizes give the same numbers; any number of one-rank teams gives the same bits, and so
    does the same run again."""

    MEASURES = list(every_measure())
    TEAMS = [(ranks, team) for ranks in (1, 2, 3, 4, 5) for team in ("auto", "all", 1, 2) if team != 2 or ranks > 1]
    FEW_TEAMS = [(1, "auto"), (2, "all"), (3, 1), (3, 2), (5, "auto"), (5, "all")]

    def compare(self, n, widths, teams):
        layers = list(related(n, widths, seed=n).values())
        layers[:3] = [layer.astype(np.float32) for layer in layers[:3]]
        self.zoo({"first": dict(zip("abc", layers[:3])), "second": dict(zip("defgh", layers[3:]))})
        expected = oracle.tensors(layers, self.MEASURES)
        first = {}
        for ranks, team in teams:
            for precision in ("double", "single"):
                with self.subTest(ranks=ranks, team_size=team, precision=precision):
                    tensors = self.compute(self.MEASURES, ranks=ranks, team_size=team, precision=precision)
                    self.assertOracle(tensors, expected, precision, ranks)
                    if team == 1 or ranks == 1:
                        for name, tensor in first.setdefault(precision, tensors).items():
                            same = tensors[name].values.tobytes() == tensor.values.tobytes()
                            self.assertTrue(same, f"{name}: not the bits of the first number of ranks")

    def test_many_tiles(self):
        self.compare(600, [1, 30, 64, 7, 19, 130], self.FEW_TEAMS if SHORT else self.TEAMS)

    def test_more_ranks_than_tiles(self):
        self.compare(11, [3, 1, 5, 2, 8], self.FEW_TEAMS)

    def test_same_run_gives_the_same_bits(self):
        self.zoo({"m": related(600, [5, 40, 9, 17], seed=8)})
        for ranks, team in ((3, 1), (4, 2)):
            runs = [self.compute(self.MEASURES, ranks=ranks, team_size=team) for _ in range(2)]
            for name, tensor in runs[0].items():
                self.assertEqual(tensor.values.tobytes(), runs[1][name].values.tobytes(), f"{name}, {ranks} ranks")


class Layers(ValuesTestCase):
    """Shapes, types and contents of layers."""

    def test_hard_contents(self):
        alpha, beta = hard()
        self.check({"alpha": alpha, "beta": beta}, every_measure((0.4, 1.0), (7, 8, 33)), ranks=3)

    @unittest.skipIf(SHORT, "the oracle alone takes seconds")
    def test_hard_contents_of_many_samples(self):
        """So many that single precision is not replaced by double, which costs nothing where samples are few."""
        alpha, beta = hard(600)
        self.check({"alpha": alpha, "beta": beta}, every_measure((0.4,), (300,)), precisions=["single"])

    def test_few_samples(self):
        for n in (4, 5, 6):
            with self.subTest(n=n):
                self.check({"m": related(n, [1, 2, 3, 9], seed=n)}, every_measure((0.4,), (4, 256)))

    def test_one_model_with_one_layer(self):
        self.check({"only": {"one": related(30, [4])["layer0"]}}, every_measure((0.4,), (10,)), ranks=3)

    def test_width_of_a_hundred_thousand(self):
        random = np.random.default_rng(3)
        latent = random.standard_normal((20, 3))
        layers = {f"wide{k}": (latent @ random.standard_normal((3, d)) + random.standard_normal((20, d))).astype(np.float32)
                  for k, d in enumerate((100_000, 99_991, 17))}
        layers["wide1"] = layers["wide1"].astype(np.float16)
        self.check({"m": layers}, every_measure((0.4,), (10,)), ranks=2)

    def test_two_hundred_layers(self):
        random = np.random.default_rng(4)
        models = {f"model{m}": {k: v.astype(np.float32) for k, v in
                                related(23, random.integers(1, 40, 10), seed=m).items()} for m in range(20)}
        self.check(models, every_measure((0.4,), (8,)), ranks=3)

    def test_medians_of_many_samples(self):
        """With more than a million distances the median is searched for, not sorted out; here they tie, drift along
        the samples, spread over decades, or are 0 for most pairs. Even and odd numbers of them."""
        random = np.random.default_rng(7)
        for n in (1040, 1101):
            with self.subTest(n=n):
                signal = random.standard_normal((n, 1))
                grid = np.round(signal + random.standard_normal((n, 2)))
                models = {"m": {
                    "plain": signal + random.standard_normal((n, 3)),
                    "ties": grid.astype(np.float16),
                    "binary": (grid[:, :1] > 0).astype(np.float32),
                    "drift": (signal + random.standard_normal((n, 2))) * np.linspace(0, 1, n)[:, None] ** 4,
                    "decades": signal * 10 ** (0.5 * random.standard_normal((n, 1))),
                    "mostly_equal": np.where(np.arange(n)[:, None] < 0.75 * n, 1.0, signal),
                }}
                self.check(models, [Measure("cka", "rbf"), Measure("hsic", "rbf", "biased")], ranks=3, code=3)
                with h5py.File(self.path / "results.h5") as results:
                    kept = results["kept/cka_kernel_rbf/median"][()]
                exact = [np.median(oracle.squared_distances(oracle.flattened(v))) for v in models["m"].values()]
                np.testing.assert_allclose(np.nan_to_num(kept), np.array(exact, float), rtol=1e-6)

    def test_sampled_medians(self):
        """128 runs of 16 samples, evenly spread; of all samples where there are no more. The kernel is that of the
        exact option with a bandwidth that makes up for the other median."""
        random = np.random.default_rng(8)
        for n in (2000, 3000):
            with self.subTest(n=n):
                layers = {f"l{k}": random.standard_normal((n, 6)).astype(np.float32) for k in range(2)}
                layers["l1"][:, :3] += layers["l0"][:, :3]
                self.zoo({"m": layers})
                first = [(n - 16) * k // 127 for k in range(128)]
                rows = np.arange(n) if n < 2048 else np.concatenate([np.arange(row, row + 16) for row in first])
                expected = [np.median(oracle.squared_distances(oracle.flattened(x[rows]))) for x in layers.values()]
                sampled = {"measure": "cka", "kernel": "rbf", "median": "sampled", "name": "sampled"}
                exact = {"measure": "cka", "kernel": "rbf", "name": "exact"}
                finished = zoogram("run", self.job([sampled, exact]), "--restart", ranks=3)
                self.assertEqual(finished.code, 0, finished.report)
                with h5py.File(self.path / "results.h5") as results:
                    kept, all_pairs = (results[f"kept/{name}/median"][()] for name in ("sampled", "exact"))
                    found = results["sampled"][()]
                np.testing.assert_allclose(kept, np.array(expected, float), rtol=1e-6)
                self.assertEqual(bool(np.all(kept == all_pairs)), n == 2000)
                kernels = [np.expm1(-oracle.squared_distances(oracle.flattened(x)) / (2 * 0.16 * m))
                           for x, m in zip(layers.values(), kept)]
                hsic = oracle.debiased_hsic(np.array(kernels))
                self.assertAlmostEqual(found[0, 1], float(hsic[0, 1] / np.sqrt(hsic[0, 0] * hsic[1, 1])), delta=2e-5)
                (self.path / "results.h5").unlink()

    def test_ways_of_storing(self):
        """Contiguous, chunked, compressed, other byte order, external link, virtual dataset."""
        arrays = list(related(41, [5, 6, 7, 8, 9, 10, 11], seed=9).values())
        arrays[3] = arrays[3].astype(np.float32)
        arrays[4] = arrays[4].astype(">f4")
        self.zoo({"m": {
            "contiguous": arrays[0],
            "chunked": Stored(arrays[1], {"chunks": (8, 3)}),
            "deflate": Stored(arrays[2], {"chunks": (41, 2), "compression": "gzip", "compression_opts": 9}),
            "shuffle": Stored(arrays[3], {"chunks": (5, 8), "compression": "gzip", "shuffle": True}),
            "big_endian": arrays[4],
        }})
        write_zoo(self.path / "elsewhere.h5", {"e": {"linked": arrays[5]}})
        with h5py.File(self.path / "parts.h5", "w") as parts:
            parts["upper"], parts["lower"] = arrays[6][:20], arrays[6][20:]
        with h5py.File(self.path / "zoo.h5", "r+") as zoo:
            activations = zoo["models/m/activations"]
            activations["linked"] = h5py.ExternalLink("elsewhere.h5", "/models/e/activations/linked")
            layout = h5py.VirtualLayout(shape=arrays[6].shape, dtype=np.float64)
            layout[:20] = h5py.VirtualSource("parts.h5", "upper", shape=(20, 11))
            layout[20:] = h5py.VirtualSource("parts.h5", "lower", shape=(21, 11))
            activations.create_virtual_dataset("virtual", layout)
        expected = oracle.tensors(arrays, every_measure((0.4,), (10,)))
        tensors = self.compute(expected, ranks=3, precision="double")
        self.assertEqual(tensors["cka"].rows, [f"m/{name}" for name in (
            "contiguous", "chunked", "deflate", "shuffle", "big_endian", "linked", "virtual")])
        self.assertOracle(tensors, expected, "double", 3)

    def test_float32_storage(self):
        layers = related(40, [6, 7, 8], seed=2)
        self.zoo({"m": layers})
        expected = oracle.tensors(list(layers.values()), every_measure())
        tensors = self.compute(expected, precision="double", storage="float32")
        for tensor in tensors.values():
            self.assertEqual(tensor.values.dtype, np.float32)
        self.assertOracle(tensors, expected, "double", storage="float32")

    def test_precisions_differ(self):
        """Single precision is a choice that has an effect."""
        self.zoo({"m": related(600, [30, 31, 32], seed=3)})
        values = [self.compute(precision=p)["cka"].values for p in ("double", "single")]
        self.assertFalse(np.array_equal(*values))

    def test_single_precision_is_the_default(self):
        self.zoo({"m": related(600, [30, 31, 32], seed=3)})
        values = [self.compute(**keys)["cka"].values for keys in ({}, {"precision": "single"})]
        np.testing.assert_array_equal(*values)


class Undefined(ValuesTestCase):
    """A layer that has no similarity leaves everything else as it is."""

    def test_spoilt_and_constant_layers(self):
        layers = related(40, [5, 6, 7, 8], seed=11)
        random = np.random.default_rng(12)
        nan, infinite = layers["layer0"].copy(), layers["layer1"].copy()
        nan[17, 2] = np.nan
        infinite[39, 5] = -np.inf
        one_ulp = np.full((40, 3), 1e4, np.float32)
        one_ulp[3] = np.nextafter(np.float32(1e4), np.float32(2e4))
        small_noise = (1 + 1e-4 * random.standard_normal((40, 6))).astype(np.float32)
        mostly_equal = np.zeros((40, 4))
        mostly_equal[:6] = random.standard_normal((6, 4))
        models = {
            "sound": {"a": layers["layer2"], "b": layers["layer3"]},
            "spoilt": {"nan": nan, "infinite": infinite},
            "still": {"constant": np.tile([5.0, -2.0, 0.0], (40, 1)), "zero": np.zeros((40, 2), np.float16),
                      "one_ulp": one_ulp, "small_noise": small_noise, "mostly_equal": mostly_equal},
        }
        for ranks in (1, 3):
            with self.subTest(ranks=ranks):
                self.check(models, every_measure((0.4,), (40,)), ranks=ranks, code=3)

    def test_batches_that_do_not_vary(self):
        """A batch in which a layer is constant, or has median 0, adds nothing; the others count."""
        layers = related(40, [5, 6, 7], seed=16)
        layers["layer0"][:10] = layers["layer0"][0]
        layers["layer1"][13:20] = layers["layer1"][13]
        self.check({"m": layers}, [m for m in every_measure((0.4,), (10,)) if m.estimator == "minibatch"])

    def test_non_finite_beyond_the_sample_limit_does_no_harm(self):
        layers = related(40, [5, 6], seed=13)
        layers["layer0"][30, 1] = np.nan
        self.check({"m": layers}, [Measure(), Measure("hsic")], select={"samples": 30})

    def test_kernel_without_distinct_pairs_is_no_quiet_number(self):
        """One sample that differs from all others: the layer varies, its debiased HSIC with itself is 0 and CKA 0/0."""
        layers = related(20, [4, 5], seed=14)
        single = np.zeros((20, 3))
        single[7] = [1.0, 2.0, 3.0]
        self.zoo({"m": {**layers, "single": single}})
        for precision in ("double", "single"):
            with self.subTest(precision=precision):
                tensors = self.compute([Measure(), Measure(estimator="biased")], precision=precision, code=3)
                cka = tensors["cka"]
                self.assertTrue(np.isnan(cka.values[2]).all() and np.isnan(cka.values[:, 2]).all(), cka.values)
                self.assertTrue((cka.codes[2] == oracle.ZERO_VARIANCE).all(), cka.codes)
                self.assertFalse(cka.codes[:2, :2].any())
                self.assertEqual(tensors["cka_estimator_biased"].at("m/single", "m/single"), 1)

    def test_extreme_magnitudes(self):
        """Scales far from 1 neither overflow nor vanish: CKA does not depend on them."""
        layer = related(30, [6, 7], seed=15)
        models = {"m": {"plain": layer["layer0"], "other": layer["layer1"],
                        "huge": layer["layer0"] * 2.0**300, "tiny": layer["layer0"] * 2.0**-300,
                        "huge_single": (layer["layer0"] * 2.0**110).astype(np.float32),
                        "half_largest": np.clip(layer["layer0"] * 2e4, -65504, 65504).astype(np.float16)}}
        self.check(models, [m for m in every_measure((0.4,), (10,)) if m.measure == "cka"])


class Selection(ValuesTestCase):
    """Which models, layers and samples enter, and in which order."""

    def test_sample_limit(self):
        layers = related(67, [5, 1, 12], seed=21)
        self.check({"m": layers}, every_measure((0.4,), (16,)), select={"samples": 37}, ranks=3)

    def test_sample_limit_makes_layers_agree(self):
        layers = related(30, [5, 6], seed=22)
        layers["layer1"] = layers["layer1"][:25]
        self.check({"m": layers}, [Measure()], select={"samples": 25})

    def test_patterns(self):
        layers = list(related(25, [3, 4, 5, 6, 7, 8], seed=23).values())
        self.zoo({
            "cnn_seed0": {"conv1": layers[0], "fc": layers[1]},
            "cnn_seed1": {"conv1": layers[2], "conv2": layers[3]},
            "mlp": {"conv1": layers[4], "fc": layers[5]},
        })
        tensors = self.compute([Measure()], precision="double", select={"models": ["cnn_*"], "layers": ["conv?"]})
        self.assertEqual(tensors["cka"].rows, ["cnn_seed0/conv1", "cnn_seed1/conv1", "cnn_seed1/conv2"])
        self.assertOracle(tensors, oracle.tensors([layers[0], layers[2], layers[3]], [Measure()]), "double")
        tensors = self.compute([Measure()], precision="double", select={"models": ["mlp", "cnn_seed[0]"], "layers": ["*"]})
        self.assertEqual(tensors["cka"].rows, ["cnn_seed0/conv1", "cnn_seed0/fc", "mlp/conv1", "mlp/fc"])

    def test_several_files_come_in_natural_order(self):
        layers = list(related(25, [3, 4, 5, 6], seed=24).values())
        ids = [f"sample{i}" for i in range(25)]
        for name, model, layer, file_ids in (("part10.h5", "a", 0, ids), ("part9.h5", "b", 1, None),
                                             ("part2.h5", "c", 2, np.array(ids, dtype="S20")), ("other.h5", "d", 3, ids)):
            write_zoo(self.path / name, {model: {"l": layers[layer]}}, ids=file_ids)
        tensors = self.compute([Measure()], precision="double", zoo=["other.h5", "part*.h5"], ranks=3)
        self.assertEqual(tensors["cka"].rows, ["d/l", "c/l", "b/l", "a/l"])
        self.assertOracle(tensors, oracle.tensors([layers[k] for k in (3, 2, 1, 0)], [Measure()]), "double", 3)

    def test_paths_are_relative_to_the_job_file(self):
        (self.path / "zoos").mkdir()
        (self.path / "elsewhere").mkdir()
        layers = related(12, [3, 4])
        write_zoo(self.path / "zoos" / "zoo.h5", {"m": layers})
        self.job([Measure()], zoo=["zoos/zoo.h5"], output="zoos/results.h5")
        finished = zoogram("run", "../job.yaml", directory=self.path / "elsewhere")
        self.assertEqual(finished.code, 0, finished.report)
        expected = oracle.tensors(list(layers.values()), [Measure()])
        self.assertOracle(read_results(self.path / "zoos" / "results.h5"), expected, "single", 1)

    def test_one_measure_under_two_names(self):
        """The same measure asked for twice gives the same tensor twice."""
        self.zoo({"m": related(30, [5, 6, 7], seed=25)})
        tensors = self.compute([{"measure": "cka", "name": "first"}, {"measure": "cka", "name": "second.again-1"}])
        np.testing.assert_array_equal(tensors["first"].values, tensors["second.again-1"].values)


if __name__ == "__main__":
    unittest.main()
