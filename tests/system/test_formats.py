"""The results file as the format page says, opened by every reader that a user may come with."""

import re
import subprocess
import unittest

import h5py
import numpy as np
import xarray

from arrays import related
from networks import Stored
from oracle import every_measure
from zoogram import SystemTestCase, natural, read_results, strings, text, write_zoo, zoogram

FLAG_VALUES = list(range(11))
ROOT_ATTRIBUTES = {"format", "version", "complete", "job", "zoogram_version", "libraries", "inputs", "ranks", "plan", "history"}


def datasets(file):
    """{path: dataset} of a whole file."""
    found = {}
    file.visititems(lambda path, node: found.update({path: node}) if isinstance(node, h5py.Dataset) else None)
    return found


def is_scale(dataset):
    return h5py.h5ds.is_scale(dataset.id)


class Layout(SystemTestCase):
    """One results file, looked at from all sides."""

    MEASURES = list(every_measure((0.4, 0.8), (16, 256)))
    MODELS = {"mlp": ["fc1", "fc2"], "vit": ["block", "head", "embedding"]}

    def setUp(self):
        super().setUp()
        layers = list(related(40, [3, 8, 5, 4, 6]).values())
        layers[4] = layers[4].reshape(40, 2, 3)
        models = {"mlp": dict(zip(self.MODELS["mlp"], layers[:2])), "vit": dict(zip(self.MODELS["vit"], layers[2:]))}
        self.zoo(models)
        self.job_path = self.job(self.MEASURES, precision="double")
        finished = zoogram("run", self.job_path, ranks=2)
        self.assertEqual(finished.code, 0, finished.report)
        self.results = self.path / "results.h5"
        self.items = [f"{model}/{layer}" for model, names in self.MODELS.items() for layer in names]

    def test_root_attributes(self):
        with h5py.File(self.results) as file:
            self.assertLessEqual(ROOT_ATTRIBUTES, set(file.attrs))
            self.assertEqual(text(file.attrs["format"]), "zoogram-results")
            self.assertEqual(int(file.attrs["version"]), 1)
            self.assertEqual(int(file.attrs["complete"]), 1)
            self.assertEqual(int(file.attrs["ranks"]), 2)
            self.assertEqual(text(file.attrs["job"]), self.job_path.read_text(encoding="utf-8"))
            for name in ("zoogram_version", "libraries", "inputs", "plan", "history"):
                self.assertTrue(text(file.attrs[name]), name)
            self.assertIn("HDF5", text(file.attrs["libraries"]))

    def test_every_axis_of_every_dataset_has_a_scale(self):
        with h5py.File(self.results) as file:
            for path, dataset in datasets(file).items():
                with self.subTest(path):
                    if is_scale(dataset):
                        continue
                    self.assertGreater(len(dataset.dims), 0)
                    for dimension in dataset.dims:
                        self.assertEqual(len(dimension), 1)
                        self.assertTrue(is_scale(dimension[0]))

    def test_axes(self):
        with h5py.File(self.results) as file:
            for axis in ("item_a", "item_b"):
                self.assertEqual(strings(file[axis]), self.items)
                self.assertTrue(is_scale(file[axis]))

    def test_tensors(self):
        with h5py.File(self.results) as file:
            tensors = {n for n, d in file.items() if isinstance(d, h5py.Dataset) and not is_scale(d)}
            self.assertEqual(tensors, {m.name for m in self.MEASURES})
            for measure in self.MEASURES:
                tensor, status = file[measure.name], file["status"][measure.name]
                with self.subTest(measure.name):
                    for dataset in (tensor, status):
                        self.assertEqual(dataset.shape, (5, 5))
                        self.assertEqual(dataset.dims[0][0], file["item_a"])
                        self.assertEqual(dataset.dims[1][0], file["item_b"])
                    self.assertEqual(tensor.dtype, np.float64)
                    attributes = tensor.attrs
                    self.assertEqual(text(attributes["measure"]), measure.measure)
                    self.assertEqual(text(attributes["kind"]), "similarity")
                    self.assertEqual(int(attributes["symmetric"]), 1)
                    self.assertTrue(text(attributes["formula"]))
                    self.assertTrue(text(attributes["reference"]))
                    for option in ("kernel", "estimator", "bandwidth", "batch"):
                        if option not in measure.options():
                            self.assertNotIn(option, attributes)
                        elif isinstance(measure.options()[option], str):
                            self.assertEqual(text(attributes[option]), measure.options()[option])
                        else:
                            self.assertEqual(float(attributes[option]), measure.options()[option])

    def test_status(self):
        with h5py.File(self.results) as file:
            self.assertEqual(set(file["status"]), {m.name for m in self.MEASURES})
            for dataset in file["status"].values():
                self.assertEqual(dataset.dtype, np.int8)
                self.assertEqual(dataset.attrs["flag_values"].dtype, np.int8)
                self.assertEqual(list(dataset.attrs["flag_values"]), FLAG_VALUES)
                meanings = text(dataset.attrs["flag_meanings"]).split()
                self.assertEqual(len(meanings), len(FLAG_VALUES))
                for meaning in meanings:
                    self.assertRegex(meaning, r"^[a-z_]+$")

    def test_items(self):
        with h5py.File(self.results) as file:
            items = file["items"]
            self.assertEqual(strings(items["model"]), ["mlp", "mlp", "vit", "vit", "vit"])
            self.assertEqual(strings(items["layer"]), self.MODELS["mlp"] + self.MODELS["vit"])
            self.assertEqual(list(items["n"]), [40] * 5)
            self.assertEqual(list(items["d"]), [3, 8, 5, 4, 6])
            for name in ("model", "layer", "n", "d"):
                self.assertEqual(items[name].dims[0][0], file["item_a"])

    def test_xarray(self):
        expected = read_results(self.results)
        for engine in ("h5netcdf", "netcdf4"):
            with self.subTest(engine):
                with xarray.open_dataset(self.results, engine=engine) as data:
                    self.assertEqual(data.attrs["format"], "zoogram-results")
                    cka = data["cka"]
                    self.assertEqual(cka.dims, ("item_a", "item_b"))
                    self.assertEqual(list(cka["item_a"].values), self.items)
                    one = cka.sel(item_a="vit/head", item_b="mlp/fc1")
                    self.assertEqual(float(one), expected["cka"].at("vit/head", "mlp/fc1"))
                    for name, tensor in expected.items():
                        np.testing.assert_array_equal(data[name].values, tensor.values)
                with xarray.open_dataset(self.results, engine=engine, group="status") as status:
                    self.assertEqual(status["cka"].dims, ("item_a", "item_b"))
                    self.assertEqual(status["cka"].dtype, np.int8)
                    self.assertEqual(set(status.data_vars), set(expected))
                with xarray.open_dataset(self.results, engine=engine, group="items") as items:
                    self.assertEqual(list(items["layer"].values), self.MODELS["mlp"] + self.MODELS["vit"])
                    self.assertEqual(items["d"].dims, ("item_a",))

    def tool(self, *command):
        finished = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
        self.assertEqual(finished.returncode, 0, f"{command}: {finished.stderr}")
        return finished.stdout

    def test_ncdump(self):
        header = self.tool("ncdump", "-h", self.results)
        for line in ("item_a = 5", "item_b = 5", "double cka(item_a, item_b)", "byte cka(item_a, item_b)", "string item_a(item_a)"):
            self.assertIn(line, header)
        self.assertNotIn("phony", header)
        self.assertIn("vit/embedding", self.tool("ncdump", "-v", "item_a", self.results))

    def test_copies_of_hdf5_tools_are_equal(self):
        copy = self.path / "copy.h5"
        self.tool("h5repack", "-f", "GZIP=4", self.results, copy)
        self.assertEqual(self.tool("h5diff", self.results, copy), "")
        with xarray.open_dataset(copy, engine="h5netcdf") as data:
            self.assertEqual(list(data["item_b"].values), self.items)

    def test_nothing_else_is_left(self):
        self.assertEqual(self.files(), ["job.yaml", "results.h5", "zoo.h5"])


class Names(SystemTestCase):
    """Names and their order."""

    LAYER = related(12, [3])["layer0"]

    def rows(self, **keys):
        return next(iter(self.compute(ranks=1, **keys).values())).rows

    def test_order_of_creation_where_it_is_tracked(self):
        models = {"zebra": {"out": self.LAYER, "layer10": self.LAYER, "layer9": self.LAYER}, "ant": {"in": self.LAYER}}
        self.zoo(models)
        self.assertEqual(self.rows(), ["zebra/out", "zebra/layer10", "zebra/layer9", "ant/in"])

    def test_natural_order_where_it_is_not(self):
        layers = ["layer10", "layer9", "layer1", "fc2", "fc10.relu", "fc10"]
        self.zoo({m: {k: self.LAYER for k in layers} for m in ("net12", "net3")}, track_order=False)
        self.assertEqual(self.rows(), [f"{m}/{k}" for m in ("net3", "net12") for k in sorted(layers, key=natural)])

    def test_the_attribute_order_comes_first(self):
        for track_order in (True, False):
            with self.subTest(track_order=track_order):
                self.zoo({m: {"a": Stored(self.LAYER, attributes={"order": 2}), "b": Stored(self.LAYER, attributes={"order": 0}),
                              "c": Stored(self.LAYER, attributes={"order": 11})} for m in ("first", "second")},
                         track_order=track_order)
                with h5py.File(self.path / "zoo.h5", "r+") as zoo:
                    zoo["models/first"].attrs["order"] = np.int32(7)
                    zoo["models/second"].attrs["order"] = np.int8(-1)
                self.assertEqual(self.rows(), [f"{m}/{k}" for m in ("second", "first") for k in "bac"])

    def test_utf8(self):
        names = {"模型": ["слой 1", "couche é"], "réseau α": ["β→γ", "🦒"]}
        self.zoo({m: {k: self.LAYER * (1 + i) for i, k in enumerate(ks)} for m, ks in names.items()})
        expected = [f"{m}/{k}" for m, ks in names.items() for k in ks]
        self.assertEqual(self.rows(select={"models": ["模*", "réseau ?"], "layers": ["*"]}), expected)
        for engine in ("h5netcdf", "netcdf4"):
            with xarray.open_dataset(self.path / "results.h5", engine=engine) as data:
                self.assertEqual(list(data["item_b"].values), expected)

    def test_long_names(self):
        names = ["x" * 300, "y" * 1000]
        self.zoo({"m" * 200: {name: self.LAYER for name in names}})
        self.assertEqual(self.rows(), ["m" * 200 + "/" + name for name in names])

    def test_default_names_state_what_is_not_default(self):
        self.zoo({"m": {"a": self.LAYER, "b": -self.LAYER}})
        entries = {
            "cka": {"measure": "cka", "kernel": "linear"},
            "cka_estimator_biased": {"measure": "cka", "estimator": "biased"},
            "cka_kernel_rbf": {"measure": "cka", "kernel": "rbf", "bandwidth": 0.4},
            "cka_kernel_rbf_bandwidth_0.8": {"measure": "cka", "kernel": "rbf", "bandwidth": 0.8},
            "hsic_kernel_rbf_estimator_minibatch_bandwidth_1.5_batch_6": {
                "measure": "hsic", "kernel": "rbf", "estimator": "minibatch", "bandwidth": 1.5, "batch": 6},
            "my-own.Name_1": {"measure": "hsic", "name": "my-own.Name_1"},
        }
        finished = zoogram("run", self.job(entries.values()))
        self.assertEqual(finished.code, 0, finished.report)
        self.assertEqual(set(read_results(self.path / "results.h5")), set(entries))

    def test_strings_of_every_kind(self):
        """Root attribute and ids as fixed or variable, ASCII or UTF-8 strings; ids as integers."""
        ids = [f"s{i}" for i in range(12)]
        kinds = [np.array(ids, "S8"), np.array(ids, "S3"), np.array(ids, h5py.string_dtype("ascii")),
                 np.array(ids, h5py.string_dtype("utf-8")), np.array([i.encode() for i in ids], h5py.string_dtype("utf-8", 5))]
        for k, values in enumerate(kinds):
            write_zoo(self.path / f"zoo{k}.h5", {f"m{k}": {"l": self.LAYER}}, ids=values,
                      attributes={"format": np.bytes_("zoogram-zoo") if k % 2 else "zoogram-zoo", "version": np.int64(1)})
        self.assertEqual(self.rows(zoo=["zoo?.h5"]), [f"m{k}/l" for k in range(len(kinds))])
        for k, kind in enumerate((np.int16, np.uint64, np.int32)):
            write_zoo(self.path / f"zoo{k}.h5", {f"m{k}": {"l": self.LAYER}}, ids=np.arange(12, dtype=kind))
        self.assertEqual(self.rows(zoo=["zoo[012].h5"]), [f"m{k}/l" for k in range(3)])


class Provenance(SystemTestCase):
    """What a results file says of its making."""

    def test_inputs_are_recognised(self):
        """Digests change with the data and not with the time of a copy."""
        layers = related(20, [3, 4])
        digests = []
        for change in (0, 0, 1):
            changed = {k: v + change for k, v in layers.items()}
            self.zoo({"m": changed})
            self.compute(ranks=1)
            with h5py.File(self.path / "results.h5") as file:
                inputs = file.attrs["inputs"]
                digests.append(text(inputs) if np.ndim(inputs) == 0 else [text(i) for i in inputs])
        self.assertEqual(digests[0], digests[1])
        self.assertNotEqual(digests[0], digests[2])
        self.assertRegex(str(digests[0]), r"zoo\.h5")
        self.assertTrue(re.search(r"[0-9a-f]{16,}", str(digests[0])), digests[0])


if __name__ == "__main__":
    unittest.main()
