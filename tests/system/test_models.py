"""All measures on models, weights and gradients together, beside cka: teams and ranks, the results file, selection,
and runs that are killed."""

import json
import os
import re
import subprocess
import time
import unittest

import h5py
import numpy as np
import xarray

import oracle
from arrays import cnn_factors, mlp_factors, mlp_weights, related, transformer_factors
from networks import Factors, Network, Stored
from oracle import Measure
from tables import EVERY_ENTRY, TablesTestCase, entry, expected, print_deviations
from zoogram import SHORT, TIMEOUT, environment, kill_with_ranks, read_results, strings, text, zoogram

tearDownModule = print_deviations
RADIUS = np.array([0.01, 0.05])
DECIMAL = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
BINARY = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def mlp(seed, layers=True):
    random = np.random.default_rng(seed)
    weights = mlp_weights(seed)
    p = sum(array.size for array in weights.values())
    return Network(
        activations=related(30, [4, 7], seed=seed) if layers else {},
        weights={name: Stored(array, attributes={"kind": "linear" if array.ndim == 2 else "bias"})
                 for name, array in weights.items()},
        gradients={f"task{k}": random.standard_normal(p) + 0.5 for k in range(2 + seed % 2)},
        sample_gradients=random.standard_normal((9 + seed, p)) + 0.2,
        tangent=mlp_factors(seed),
        logits=3 * random.standard_normal((30, 5)),
        sharpness=Stored(random.random((2, 6)), attributes={"radius": RADIUS}))


def cnn(seed):
    random = np.random.default_rng(seed)
    kernel = Stored(random.standard_normal((6, 2, 3, 3)).astype(np.float32),
                    attributes={"kind": "conv", "input_size": [7, 6], "padding": 1, "stride": [2, 1]})
    return Network(
        activations={"map": random.standard_normal((30, 3, 2, 2)).astype(np.float16)},
        weights={"conv": kernel, "norm": Stored(random.standard_normal(6), attributes={"kind": "norm"}),
                 "head": random.standard_normal((5, 9))},
        tangent=cnn_factors(seed), logits=random.standard_normal((30, 5)).astype(np.float32),
        sharpness=Stored(random.random((2, 3)).astype(np.float32), attributes={"radius": RADIUS}))


def every_kind(layers=True):
    """Seven models, none of which has everything that the others have."""
    random = np.random.default_rng(70)
    networks = {f"mlp{k}": mlp(k, layers) for k in range(3)}
    networks.update({"cnn0": cnn(10), "cnn1": cnn(11)})
    networks["transformer"] = Network(tangent=transformer_factors(20), logits=random.standard_normal((30, 5)),
                                      gradients={"only": random.standard_normal(77).astype(np.float32)})
    networks["explicit"] = Network(jacobian=random.standard_normal((11, 4, 31)).astype(np.float32),
                                   sample_gradients=random.standard_normal((4, 19)))
    if not layers:
        for network in networks.values():
            network.activations = {}
    return networks


class Teams(TablesTestCase):
    """All rank counts and team sizes give the same numbers; any number of one-rank teams gives the same bits."""

    TEAMS = [(ranks, team) for ranks in (1, 2, 3, 4, 5) for team in ("auto", "all", 1, 2) if team != 2 or ranks > 1]
    FEW_TEAMS = [(1, "auto"), (2, "all"), (3, 1), (3, 2), (5, "auto")]

    def test_every_measure(self):
        networks = every_kind()
        self.zoo(networks)
        tables = {asked["name"]: expected(networks, asked) for asked in EVERY_ENTRY}
        first = {}
        for ranks, team in self.FEW_TEAMS if SHORT else self.TEAMS:
            for precision in ("double", "single"):
                with self.subTest(ranks=ranks, team_size=team, precision=precision):
                    tensors = self.compute(EVERY_ENTRY, ranks=ranks, team_size=team, precision=precision)
                    self.assertTables(tensors, tables, precision)
                    if team == 1 or ranks == 1:
                        self.assertBits(first.setdefault(precision, tensors), tensors)

    def assertBits(self, first, again):
        for name, tensor in first.items():
            same = again[name].values.tobytes() == tensor.values.tobytes()
            self.assertTrue(same, f"{name}: not the bits of the first number of ranks")
            for quantity, array in tensor.kept.items():
                self.assertEqual(again[name].kept[quantity].tobytes(), array.tobytes(), f"{name}: {quantity}")

    def test_more_ranks_than_work(self):
        networks = {"only": mlp(1), "other": mlp(2)}
        networks["only"].tangent = mlp_factors(1, 2, (3,), 1)
        networks["other"].tangent = mlp_factors(2, 2, (3,), 1)
        self.check(networks, EVERY_ENTRY, precisions=["double"], ranks=5)

    def test_same_run_gives_the_same_bits(self):
        self.zoo(every_kind())
        runs = [self.compute(EVERY_ENTRY, ranks=4, team_size=2) for _ in range(2)]
        self.assertBits(*runs)

    def test_storage_in_single_precision(self):
        networks = every_kind()
        self.zoo(networks)
        tensors = self.compute(EVERY_ENTRY, precision="double", storage="float32")
        for asked in EVERY_ENTRY:
            found, table = tensors[asked["name"]], expected(networks, asked)
            self.assertEqual(found.values.dtype, np.float32)
            self.assertCodes(found, table.codes, asked["name"])
            self.assertLess(oracle.deviation(found.values.astype(float), table.values), 1e-7)


class Layout(TablesTestCase):
    """One results file of a job that mixes all axes."""

    ENTRIES = [*EVERY_ENTRY, entry("ntk_distance", "kernels", keep_kernel=1)]
    AXES = {"gradient_cosine": "gradient", "gradient_conflict": "gradient"}  # the others': model

    @classmethod
    def setUpClass(cls):
        cls.networks = every_kind()

    def setUp(self):
        super().setUp()
        self.zoo(self.networks)
        entries = [*self.ENTRIES, {"measure": "cka", "name": "cka"}]
        self.tensors = self.compute(entries, precision="double")
        self.results = self.path / "results.h5"

    def names(self, axis):
        members = {"item": "activations", "weight": "weights", "gradient": "gradients"}
        if axis == "model":
            return list(self.networks)
        return [f"{model}/{name}" for model, network in self.networks.items() for name in getattr(network, members[axis])]

    def axis(self, asked):
        if asked.get("per") == "matrix":
            return "weight"
        return self.AXES.get(asked["measure"], "item" if asked["measure"] == "cka" else "model")

    def test_axes_and_scales(self):
        with h5py.File(self.results) as file:
            for axis in ("item", "model", "gradient", "weight"):
                for side in "ab":
                    self.assertEqual(strings(file[f"{axis}_{side}"]), self.names(axis))
            for asked in self.ENTRIES:
                for dataset in (file[asked["name"]], file["status"][asked["name"]]):
                    for dimension, side in zip(dataset.dims, "ab"):
                        self.assertEqual(dimension[0], file[f"{self.axis(asked)}_{side}"])

    def test_every_axis_has_a_scale(self):
        found = []

        def look(path, node):
            if isinstance(node, h5py.Dataset) and not h5py.h5ds.is_scale(node.id):
                found.append(path)
                for dimension in node.dims:
                    self.assertEqual(len(dimension), 1, path)

        with h5py.File(self.results) as file:
            file.visititems(look)
        for kept in ("path_norm_norm_path1/value", "path_norm_norm_path1/log_value", "gradient_conflict/total", "kernels/kernel",
                     "kernels/eigenvalues"):
            self.assertIn(f"kept/{kept}", found)

    def test_attributes(self):
        defaults = {
            "ntk_distance": {"reduction": "trace", "scale": "none", "source": "auto", "sketch": 0, "keep_kernel": 0},
            "ntk_alignment": {"reduction": "trace", "source": "auto", "sketch": 0, "centred": 1},
            "weight_frobenius": {"relative": 0, "per": "model"}, "fisher": {"form": "output"}, "path_norm": {"norm": "spectral"},
            "gradient_cosine": {}, "gradient_conflict": {}, "sharpness": {"form": "recorded"}}
        similar = {"ntk_alignment", "gradient_cosine", "gradient_conflict"}
        for asked in self.ENTRIES:
            attributes = self.tensors[asked["name"]].attributes
            with self.subTest(asked["name"]):
                self.assertEqual(text(attributes["measure"]), asked["measure"])
                self.assertEqual(text(attributes["kind"]), "similarity" if asked["measure"] in similar else "distance")
                self.assertEqual(int(attributes["symmetric"]), 1)
                self.assertTrue(text(attributes["formula"]) and text(attributes["reference"]))
                options = {key: value for key, value in asked.items() if key not in ("measure", "name")}
                for option, value in {**defaults[asked["measure"]], **options}.items():
                    if isinstance(value, str):
                        self.assertEqual(text(attributes[option]), value)
                    else:
                        np.testing.assert_array_equal(np.atleast_1d(attributes[option]), np.atleast_1d(value), option)
                if asked["measure"] == "sharpness":
                    self.assertEqual("radius" in attributes, asked["form"] == "quadratic")

    def test_symmetric(self):
        for name, tensor in self.tensors.items():
            np.testing.assert_array_equal(tensor.values, tensor.values.T, name)
            np.testing.assert_array_equal(tensor.codes, tensor.codes.T, name)

    def test_cka_is_not_disturbed(self):
        layers = [layer for network in self.networks.values() for layer in network.activations.values()]
        values, codes = oracle.tensor(layers, Measure())
        np.testing.assert_array_equal(self.tensors["cka"].codes, codes)
        self.assertLess(oracle.deviation(self.tensors["cka"].values, values), 1e-9)

    def test_xarray(self):
        for engine in ("h5netcdf", "netcdf4"):
            with self.subTest(engine):
                with xarray.open_dataset(self.results, engine=engine) as data:
                    for name, tensor in self.tensors.items():
                        np.testing.assert_array_equal(data[name].values, tensor.values)
                    self.assertEqual(data["fisher_form_output"].dims, ("model_a", "model_b"))
                    one = data["gradient_cosine"].sel(gradient_a="mlp1/task2", gradient_b="mlp0/task0")
                    self.assertEqual(float(one), self.tensors["gradient_cosine"].at("mlp1/task2", "mlp0/task0"))
                with xarray.open_dataset(self.results, engine=engine, group="kept/path_norm_norm_path1") as kept:
                    self.assertEqual(kept["value"].dims, ("model_a",))

    def test_ncdump(self):
        finished = subprocess.run(["ncdump", "-h", str(self.results)], capture_output=True, text=True, timeout=60)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        for line in ("model_a = 7", "double gradient_cosine(gradient_a, gradient_b)", "group: kept"):
            self.assertIn(line, finished.stdout)
        self.assertNotIn("phony", finished.stdout)

    def test_show_and_plan(self):
        finished = zoogram("show", self.results, "ntk_distance_reduction_full_scale_trace")
        self.assertEqual(finished.code, 0, finished.report)
        for name in ("mlp0", "transformer"):
            self.assertIn(name, finished.out)
        finished = zoogram("plan", self.path / "job.yaml", "--ranks", "3")
        self.assertEqual(finished.code, 0, finished.report)

    def test_lists_of_measures(self):
        """Text and JSON; the options' choices begin with the default."""
        out = zoogram("list", "measures").out
        catalogue = {m["name"]: m for m in json.loads(zoogram("list", "measures", "--json").out)["measures"]}
        for asked in self.ENTRIES:
            self.assertIn(asked["measure"], out)
            measure = catalogue[asked["measure"]]
            self.assertEqual(measure["axis"], self.AXES.get(asked["measure"], "model"))
            self.assertLessEqual(set(asked) - {"measure", "name"}, {option["name"] for option in measure["options"]})
        options = {option["name"]: option for option in catalogue["ntk_distance"]["options"]}
        self.assertEqual(options["scale"]["choices"], ["none", "trace", "frobenius"])
        self.assertEqual({name: option["default"] for name, option in options.items()},
                         {"reduction": "trace", "scale": "none", "source": "auto", "sketch": 0, "keep_kernel": 0})


class Selection(TablesTestCase):
    ENTRIES = [entry("ntk_distance"), entry("weight_frobenius"), entry("gradient_cosine"), entry("fisher")]

    def test_no_activations_at_all(self):
        networks = every_kind(layers=False)
        tensors = self.check(networks, EVERY_ENTRY, precisions=["double"], ranks=3)
        self.assertEqual(tensors["fisher_form_output"].rows, list(networks))
        with h5py.File(self.path / "results.h5") as file:
            self.assertNotIn("item_a", file)

    def test_activations_that_cannot_be_paired_do_not_matter(self):
        """A job without a measure of activations does not read them: neither counts nor contents."""
        networks = every_kind()
        networks["mlp0"].activations = {"three": np.ones((3, 2)), "nan": np.full((9, 2), np.nan)}
        self.check(networks, self.ENTRIES, precisions=["double"])

    def test_models_by_pattern(self):
        networks = every_kind()
        self.zoo(networks)
        tensors = self.compute(self.ENTRIES, precision="double", select={"models": ["mlp?", "explicit"]})
        chosen = {name: networks[name] for name in ("mlp0", "mlp1", "mlp2", "explicit")}
        self.assertTables(tensors, {asked["name"]: expected(chosen, asked) for asked in self.ENTRIES})

    def test_several_files(self):
        networks = every_kind()
        names = list(networks)
        self.zoo({name: networks[name] for name in names[:3]}, name="zoo1.h5")
        self.zoo({name: networks[name] for name in names[3:]}, name="zoo2.h5")
        tensors = self.compute(self.ENTRIES, precision="double", zoo=["zoo?.h5"])
        self.assertTables(tensors, {asked["name"]: expected(networks, asked) for asked in self.ENTRIES})

    def test_order_of_tasks_and_parameters(self):
        """The attribute `order`, else creation, else natural order."""
        tasks = {"task10": np.arange(5.0), "task9": np.ones(5)}
        weights = {"w10": np.ones(3), "w9": np.zeros(3)}
        asked = [entry("gradient_cosine"), entry("weight_frobenius", per="matrix")]
        for track_order, expected_order in ((True, ["10", "9"]), (False, ["9", "10"])):
            self.zoo({"m": Network(gradients=tasks, weights=weights)}, track_order=track_order)
            cosine, frobenius = self.compute(asked).values()
            self.assertEqual(cosine.rows, [f"m/task{k}" for k in expected_order])
            self.assertEqual(frobenius.rows, [f"m/w{k}" for k in expected_order])
        ordered = {"b": Stored(np.ones(5), attributes={"order": 2}), "a": Stored(np.ones(5), attributes={"order": 5})}
        self.zoo({"m": Network(gradients=ordered)}, track_order=False)
        self.assertEqual(self.compute(asked[:1])["gradient_cosine"].rows, ["m/b", "m/a"])

    def test_digests_see_every_kind_of_data(self):
        """A complete results file stays only while what it was made of is the same."""
        for change in ("weights", "gradients", "sample_gradients", "tangent", "logits", "sharpness", "radius"):
            with self.subTest(change):
                networks = {f"m{k}": mlp(k) for k in range(2)}
                self.zoo(networks)
                self.compute(EVERY_ENTRY)
                network = networks["m1"]
                if change == "weights":
                    network.weights = {name: Stored(array.data + 1, attributes=array.attributes)
                                       for name, array in network.weights.items()}
                elif change == "gradients":
                    network.gradients = {name: array + 1 for name, array in network.gradients.items()}
                elif change == "tangent":
                    network.tangent = mlp_factors(77)
                elif change == "sharpness":
                    network.sharpness = Stored(network.sharpness.data + 1, attributes=network.sharpness.attributes)
                elif change == "radius":
                    network.sharpness = Stored(network.sharpness.data, attributes={"radius": RADIUS * 2})
                else:
                    setattr(network, change, getattr(network, change) + 1)
                self.zoo(networks)
                finished = zoogram("run", self.path / "job.yaml")
                self.assertEqual(finished.code, 73, finished.report)


class Interruption(TablesTestCase):
    """Runs that are killed go on with the same bits, whatever they were at."""

    def kernels(self):
        """Tangent kernels of many samples and classes."""
        random = np.random.default_rng(1)
        m, models = (500, 4) if SHORT else (1500, 6)
        networks = {f"m{k}": Network(tangent={f"fc{layer}": Factors(
            inputs=random.standard_normal((m, 64)).astype(np.float32),
            signal=random.standard_normal((m, 6, 24)).astype(np.float32)) for layer in range(3)}) for k in range(models)}
        return networks, [*(entry("ntk_distance", reduction=r, scale="trace") for r in ("trace", "full")), entry("ntk_alignment")]

    def vectors(self):
        """Long gradients that are slow to unpack."""
        random = np.random.default_rng(2)
        p = 100_000 if SHORT else 1_000_000
        packed = {"compression": "gzip", "compression_opts": 1, "chunks": (20_000,)}
        networks = {f"m{k}": Network(gradients={
            f"t{t}": Stored(random.standard_normal(p).astype(np.float32), packed) for t in range(4)}) for k in range(3)}
        return networks, [entry("gradient_cosine"), entry("gradient_conflict")]

    def profiles(self):
        """Operator norms of convolutions."""
        random = np.random.default_rng(3)
        channels = 24 if SHORT else 64
        geometry = {"kind": "conv", "input_size": 24, "padding": 1, "stride": 1}
        networks = {f"m{k}": Network(weights={"k": Stored(random.standard_normal((channels, channels, 3, 3)), attributes=geometry)})
                    for k in range(9)}
        return networks, [entry("path_norm")]

    def attention(self):
        """Heads and maps that are slow to unpack, some of them close to one another."""
        random = np.random.default_rng(4)
        side, packed = (24 if SHORT else 48), {"compression": "gzip", "compression_opts": 1}
        rows = random.gamma(1, size=(60 if SHORT else 240, 3, side, side)) + 0.01
        networks = {}
        for k in range(4):
            near = rows * (1 + 1e-5 * random.standard_normal(rows.shape)) if k < 2 else random.gamma(1, size=rows.shape) + 0.01
            networks[f"m{k}"] = Network(attention={"x": Stored((near / near.sum(-1, keepdims=True)).astype(np.float32), packed)},
                                        cross_attention={"x": Stored(near[..., : side - k, :].astype(np.float32), packed)})
        return networks, [entry("attention_kl", per="head"), entry("cross_attention")]

    def pairs(self):
        """Layers of which every two are compared by themselves."""
        random = np.random.default_rng(4)
        n, layers = (400, 12) if SHORT else (1000, 20)
        return ({"m": {f"l{k}": random.standard_normal((n, 64)) for k in range(layers)}},
                [{"measure": "mmd", "name": "mmd"}, {"measure": "wasserstein", "form": "gaussian", "name": "gaussian"}])

    def segments(self):
        """Names of the checkpoints that are complete."""
        return {path.name for path in self.path.glob("results.h5.state/pass*") if path.suffix != ".tmp"}

    def killed(self, job, ranks):
        """Start a run and kill it after its first checkpoint; whether that was before its end. If not, all is
        forgotten."""
        before = self.segments()
        settings = environment()
        settings.pop("OMPI_MCA_orte_abort_on_non_zero_status")
        launcher = [os.environ.get("ZOOGRAM_MPIRUN") or "mpirun", "-n", str(ranks)]
        process = subprocess.Popen([*launcher, os.environ["ZOOGRAM"], "run", str(job)], env=settings, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        end = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < end and self.segments() == before:
            time.sleep(0.005)
        if process.poll() is None:
            kill_with_ranks(process)
        process.communicate(timeout=TIMEOUT)
        ended = (self.path / "results.h5").exists()
        (self.path / "results.h5").unlink(missing_ok=True)
        return not ended

    def finish(self, job):
        finished = zoogram("run", job, ranks=2)
        self.assertEqual(finished.code, 0, finished.report)
        return finished

    def assertContinued(self, finished):
        """The last run calculated or read less than its plan says for the whole job."""
        flops = [float(number) * DECIMAL[unit]
                 for number, unit in re.findall(r"work +([\d.]+) ([kMGT]?)flop", finished.out)]
        read = [float(number) * BINARY[unit]
                for number, unit in re.findall(r"([\d.]+) ((?:[KMG]i)?)B (?:to read|in all)", finished.out)]
        self.assertTrue(any(done < 0.95 * planned for planned, done in (flops, read)), finished.out)

    def test_killed_runs_go_on_with_the_same_bits(self):
        for scenario in (self.kernels, self.vectors, self.profiles, self.attention, self.pairs):
            with self.subTest(scenario.__name__):
                networks, entries = scenario()
                self.zoo(networks)
                job = self.job(entries, checkpoint=0.1)
                self.finish(job)
                reference = read_results(self.path / "results.h5")
                (self.path / "results.h5").unlink()
                killed = 0  # times in succession
                for ranks in 3 * (2, 1, 3):
                    killed = killed + 1 if self.killed(job, ranks) else 0
                    if killed == 3:
                        break
                self.assertGreater(killed, 0, "no run lasted long enough to be killed")
                self.assertContinued(self.finish(job))
                found = read_results(self.path / "results.h5")
                for name, tensor in reference.items():
                    self.assertEqual(found[name].values.tobytes(), tensor.values.tobytes(), name)
                    for quantity, array in tensor.kept.items():
                        self.assertEqual(found[name].kept[quantity].tobytes(), array.tobytes(), f"{name}: {quantity}")
                self.assertEqual(self.files(), ["job.yaml", "results.h5", "zoo.h5"])
                (self.path / "results.h5").unlink()


if __name__ == "__main__":
    unittest.main()
