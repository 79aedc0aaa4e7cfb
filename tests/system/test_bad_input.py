"""Bad input: the right exit code, one line that names what is wrong, nothing left behind, no hang on any rank count."""

import unittest

import h5py
import numpy as np

from arrays import related
from networks import Network, Stored
from oracle import Measure
from zoogram import SHORT, SystemTestCase, read_results, write_zoo, zoogram

DATA, MISSING, CANNOT_CREATE, BAD_JOB, PARTIAL = 65, 66, 73, 78, 3
RANKS = (3,) if SHORT else (None, 2, 3)  # None: alone, without mpirun
TIMEOUT = 120 if SHORT else 30


class BadInputTestCase(SystemTestCase):
    def setUp(self):
        super().setUp()
        self.layers = related(20, [3, 5, 4])

    def assertRefused(self, code, *words, ranks=RANKS):
        """job.yaml ends with this code on every rank count, says so in one line with all these words, and leaves no
        file that was not there before."""
        before = self.files()
        for count in ranks:
            with self.subTest(ranks=count):
                finished = zoogram("run", self.path / "job.yaml", ranks=count, timeout=TIMEOUT)
                self.assertEqual(finished.code, code, finished.report)
                self.assertEqual(len(finished.errors), 1, finished.report)
                for word in words:
                    self.assertIn(word, finished.errors[0])
                self.assertEqual(self.files(), before)


class JobFile(BadInputTestCase):
    """Each text of a job file is refused with 78, its line, and the word concerned. All ranks parse it alike, so
    that several counts of ranks are tried for one mistake only."""

    GOOD = "zoo: [zoo.h5]\noutput: results.h5\n"

    def setUp(self):
        super().setUp()
        self.zoo({"m": self.layers})

    def refused(self, job, line, *words, ranks=(3,)):
        (self.path / "job.yaml").write_text(job, encoding="utf-8")
        self.assertRefused(BAD_JOB, f"job.yaml:{line}:", *words, ranks=ranks)

    def test_not_yaml(self):
        self.refused("zoo: [zoo.h5\noutput: results.h5\n", 2)
        self.refused("zoo: [zoo.h5]\n\tmeasures:\n", 2)

    def test_not_a_mapping(self):
        self.refused("- cka\n- hsic\n", 1)

    def test_empty(self):
        self.refused("", 1, "empty")

    def test_unknown_key(self):
        self.refused(self.GOOD + "precison: double\nmeasures: [{measure: cka}]\n", 3, "precison", "precision", ranks=RANKS)
        self.refused(self.GOOD + "select: {model: ['*']}\nmeasures: [{measure: cka}]\n", 3, "model", "models")

    def test_key_twice(self):
        self.refused(self.GOOD + "output: other.h5\nmeasures: [{measure: cka}]\n", 3, "output")

    def test_missing_key(self):
        for key in ("zoo", "output", "measures"):
            lines = {"zoo": "zoo: [zoo.h5]\n", "output": "output: results.h5\n", "measures": "measures: [{measure: cka}]\n"}
            del lines[key]
            with self.subTest(key):
                self.refused("".join(lines.values()), 1, key)

    def test_unknown_measure(self):
        self.refused(self.GOOD + "measures:\n  - measure: hsic\n  - measure: ckaa\n", 5, "ckaa", "cka")

    def test_unknown_option(self):
        self.refused(self.GOOD + "measures:\n- measure: cka\n  kernel: rbf\n  bandwith: 0.4\n", 6, "bandwith", "bandwidth", "cka")

    def test_options_out_of_range(self):
        for option, value in (("batch", 3), ("batch", -256), ("batch", 8.5), ("batch", "many"), ("batch", "[8]")):
            with self.subTest(option=option, value=value):
                self.refused(self.GOOD + f"measures:\n- measure: cka\n  estimator: minibatch\n  {option}: {value}\n", 6, option)
        for value in (0, -0.4, "wide", ".inf", ".nan"):
            with self.subTest(bandwidth=value):
                self.refused(self.GOOD + f"measures:\n- measure: hsic\n  kernel: rbf\n  bandwidth: {value}\n", 6, "bandwidth")
        for option, value in (("kernel", "laplace"), ("estimator", "unbiased")):
            with self.subTest(option=option, value=value):
                self.refused(self.GOOD + f"measures:\n- measure: cka\n  {option}: {value}\n", 5, option, value)

    def test_options_without_effect(self):
        self.refused(self.GOOD + "measures:\n- measure: cka\n  batch: 16\n", 5, "batch", "minibatch")
        self.refused(self.GOOD + "measures:\n- measure: cka\n  bandwidth: 0.4\n", 5, "bandwidth", "rbf")

    def test_wrong_types(self):
        for key, value in (("zoo", "{a: b}"), ("zoo", "[]"), ("output", "[a.h5]"), ("select", "cnn"), ("precision", "quadruple"),
                           ("storage", "float16"), ("team_size", 0), ("team_size", "some"), ("memory_per_rank", "much"),
                           ("checkpoint", "soon"), ("digest", "none"), ("measures", "7"), ("measures", "[[cka]]")):
            with self.subTest(key=key, value=value):
                lines = {"zoo": "[zoo.h5]", "output": "results.h5", "measures": "[{measure: cka}]", key: value}
                line = list(lines).index(key) + 1
                self.refused("".join(f"{k}: {v}\n" for k, v in lines.items()), line, key)
        self.refused(self.GOOD + "select: {samples: -1}\nmeasures: [{measure: cka}]\n", 3, "samples")
        self.refused(self.GOOD + "select: {samples: 7.5}\nmeasures: [{measure: cka}]\n", 3, "samples")
        self.refused(self.GOOD + "select: {models: {a: b}}\nmeasures: [{measure: cka}]\n", 3, "models")

    def test_empty_measures(self):
        self.refused(self.GOOD + "measures: []\n", 3, "measures")
        self.refused(self.GOOD + "measures:\n", 3, "measures")

    def test_duplicate_names(self):
        self.refused(self.GOOD + "measures:\n- measure: cka\n- measure: hsic\n- measure: cka\n  kernel: linear\n", 6, "cka")
        self.refused(self.GOOD + "measures:\n- measure: cka\n  name: same\n- measure: hsic\n  name: same\n", 6, "same")

    def test_bad_names(self):
        for name in ("a/b", "'two words'", "ä", "''", "status", "items", "kept", "item_a", "model_b"):
            with self.subTest(name):
                self.refused(self.GOOD + f"measures:\n- measure: cka\n  name: {name}\n", 5, "name")

    def test_missing_job_file(self):
        self.assertRefused(MISSING, "job.yaml")


class Output(BadInputTestCase):
    """Outputs that cannot be made, or that are there already."""

    def setUp(self):
        super().setUp()
        self.zoo({"m": self.layers})

    def test_cannot_be_made(self):
        (self.path / "directory").mkdir()
        (self.path / "file").write_text("a file")
        for output in ("missing/results.h5", "file/results.h5", "directory"):
            with self.subTest(output):
                self.job(output=output)
                self.assertRefused(CANNOT_CREATE, output)

    def test_complete_results_of_the_same_job_stay(self):
        """Also when only comments, resources or the way of writing the job have changed."""
        job = self.job([Measure(), Measure(kernel="rbf")])
        self.compute([Measure(), Measure(kernel="rbf")], ranks=2)
        content = (self.path / "results.h5").read_bytes()
        text = job.read_text()
        for comment in ("", "# a comment\nteam_size: all\n"):
            job.write_text(comment + text)
            for ranks in RANKS:
                with self.subTest(ranks=ranks, comment=comment):
                    finished = zoogram("run", job, ranks=ranks, timeout=TIMEOUT)
                    self.assertEqual(finished.code, 0, finished.report)
                    self.assertIn("complete", finished.out + finished.err)
                    self.assertEqual((self.path / "results.h5").read_bytes(), content)
        self.assertEqual(self.files(), ["job.yaml", "results.h5", "zoo.h5"])

    def test_results_of_another_job_stay(self):
        self.compute([Measure()])
        content = (self.path / "results.h5").read_bytes()
        for keys in ({"measures": [Measure("hsic")]}, {"precision": "double"}, {"select": {"layers": ["layer[01]"]}}):
            with self.subTest(str(keys)):
                self.job(**keys)
                self.assertRefused(CANNOT_CREATE, "results.h5")
        self.job()
        self.zoo({"m": {k: v + np.arange(20)[:, None] for k, v in self.layers.items()}})
        self.assertRefused(CANNOT_CREATE, "results.h5")
        self.assertEqual((self.path / "results.h5").read_bytes(), content)

    def test_a_file_that_is_no_results_file_stays(self):
        self.job()
        for content in (b"", b"dear diary\n" * 100):
            (self.path / "results.h5").write_bytes(content)
            self.assertRefused(CANNOT_CREATE, "results.h5")
            self.assertEqual((self.path / "results.h5").read_bytes(), content)

    def test_the_zoo_is_never_the_output(self):
        content = (self.path / "zoo.h5").read_bytes()
        self.job(output="zoo.h5")
        self.assertRefused(CANNOT_CREATE, "zoo.h5")
        self.assertEqual((self.path / "zoo.h5").read_bytes(), content)


class Zoo(BadInputTestCase):
    """Zoo files that are missing or are not what they have to be."""

    def setUp(self):
        super().setUp()
        self.job()

    def test_missing(self):
        self.assertRefused(MISSING, "zoo.h5")

    def test_glob_without_files(self):
        self.job(zoo=["part*.h5"])
        self.assertRefused(MISSING, "part*.h5")

    def test_not_hdf5(self):
        for content in (b"", b"x", b"no HDF5 at all\n" * 1000):
            (self.path / "zoo.h5").write_bytes(content)
            self.assertRefused(DATA, "zoo.h5")

    def test_truncated(self):
        path = self.zoo({"m": self.layers})
        content = path.read_bytes()
        for length in (len(content) - 1, len(content) // 2, 600, 100):
            with self.subTest(length=length):
                path.write_bytes(content[:length])
                self.assertRefused(DATA, "zoo.h5")

    def test_other_formats(self):
        for attributes, word in (({"format": "zoogram-results", "version": 1}, "zoogram-results"), ({"version": 1}, "format"),
                                 ({"format": "zoogram-zoo", "version": 2}, "version"), ({"format": 7, "version": 1}, "format")):
            with self.subTest(str(attributes)):
                self.zoo({"m": self.layers}, attributes=attributes)
                self.assertRefused(DATA, "zoo.h5", word)

    def test_no_models(self):
        self.zoo({})
        self.assertRefused(DATA, "zoo.h5", "models")
        with h5py.File(self.path / "zoo.h5", "r+") as zoo:
            del zoo["models"]
        self.assertRefused(DATA, "zoo.h5", "models")

    def test_no_layers(self):
        self.zoo({"empty": {}})
        self.assertRefused(DATA)

    def test_patterns_without_a_match(self):
        self.zoo({"cnn": self.layers, "mlp": self.layers})
        self.job(select={"models": ["cnn", "resnet*"]})
        self.assertRefused(DATA, "resnet*")
        self.job(select={"layers": ["layer?", "conv[0-9]"]})
        self.assertRefused(DATA, "conv[0-9]")

    def test_too_few_samples(self):
        self.zoo({"m": {k: v[:3] for k, v in self.layers.items()}})
        self.assertRefused(DATA, "3 samples")
        self.zoo({"m": self.layers})
        self.job(select={"samples": 2})
        self.assertRefused(DATA, "2 samples")

    def test_differing_counts(self):
        self.zoo({"m": {**self.layers, "short": self.layers["layer0"][:17]}})
        self.assertRefused(DATA, "short", "17", "20")

    def test_differing_counts_between_files(self):
        self.zoo({"m": self.layers})
        write_zoo(self.path / "other.h5", {"k": {"longer": np.vstack([self.layers["layer0"]] * 2)}})
        self.job(zoo=["zoo.h5", "other.h5"])
        self.assertRefused(DATA, "other.h5", "longer", "40")

    def test_differing_ids(self):
        ids = [f"image{i}" for i in range(20)]
        self.job(zoo=["zoo.h5", "other.h5"])
        for other in (ids[::-1], ids[:-1] + ["image20"], np.arange(20)):
            self.zoo({"m": self.layers}, ids=ids)
            write_zoo(self.path / "other.h5", {"k": self.layers}, ids=other)
            self.assertRefused(DATA, "other.h5", "id")

    def test_ids_that_are_none(self):
        ids = np.linspace(0, 1, 20)
        self.zoo({"m": self.layers}, ids=ids)
        write_zoo(self.path / "other.h5", {"k": self.layers}, ids=ids)
        self.job(zoo=["zoo.h5", "other.h5"])
        self.assertRefused(DATA, "zoo.h5", "'/samples/id' is not a list of strings or integers", ranks=(2,))

    def test_strings_where_numbers_belong(self):
        words = np.array([["a", "b"]] * 20, dtype=object)
        for data in (words.astype("S1"), words.astype(h5py.string_dtype())):
            self.zoo({"m": {**self.layers, "words": data}})
            self.assertRefused(DATA, "zoo.h5", "words")

    def test_things_that_are_no_layer(self):
        compound = np.zeros(20, dtype=[("x", "f4"), ("y", "f4")])
        for name, data in (("scalar", 3.0), ("compound", compound), ("complex", np.zeros((20, 2), complex)),
                           ("no_features", np.zeros((20, 0)))):
            with self.subTest(name):
                self.zoo({"m": {**self.layers, name: data}})
                self.assertRefused(DATA, "zoo.h5", name)

    def test_groups_and_broken_links_where_a_layer_belongs(self):
        for name, entry in (("group", None), ("soft", h5py.SoftLink("/nowhere")), ("external", h5py.ExternalLink("gone.h5", "/x"))):
            with self.subTest(name):
                self.zoo({"m": self.layers})
                with h5py.File(self.path / "zoo.h5", "r+") as zoo:
                    if entry is None:
                        zoo["models/m/activations"].create_group(name)
                    else:
                        zoo["models/m/activations"][name] = entry
                self.assertRefused(DATA, "zoo.h5", name)

    def test_a_model_twice(self):
        self.zoo({"cnn": self.layers, "mlp": self.layers})
        write_zoo(self.path / "other.h5", {"vit": self.layers, "mlp": self.layers})
        self.job(zoo=["zoo.h5", "other.h5"])
        self.assertRefused(DATA, "mlp", "zoo.h5", "other.h5")
        self.job(zoo=["zoo.h5", "zoo.h5"])
        self.assertRefused(DATA, "cnn", "zoo.h5")

    def test_damaged_chunk(self):
        """Only some rows of one layer cannot be read, so only some ranks see it."""
        random = np.random.default_rng(51)
        self.zoo({"m": {"sound": random.standard_normal((200, 6)),
                        "damaged": Stored(random.standard_normal((200, 6)), {"chunks": (10, 6), "compression": "gzip"})}})
        with h5py.File(self.path / "zoo.h5") as zoo:
            chunk = zoo["models/m/activations/damaged"].id.get_chunk_info(17)
        with open(self.path / "zoo.h5", "r+b") as file:
            file.seek(chunk.byte_offset)
            file.write(b"\xff" * chunk.size)
        for team in ("auto", "all"):
            self.job(team_size=team)
            self.assertRefused(DATA, "damaged")


class Tolerated(BadInputTestCase):
    """What is marked in the results or only looks odd."""

    def test_spoilt_layers_are_named_and_the_rest_is_computed(self):
        nan = self.layers["layer0"].copy()
        nan[3, 1] = np.nan
        self.zoo({"net": {**self.layers, "spoilt": nan, "still": np.ones((20, 4))}})
        reference = self.zoo({"net": self.layers}, name="reference.h5")
        expected = self.compute(zoo=[reference.name], output="reference_results.h5", ranks=1)["cka"]
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                (self.path / "results.h5").unlink(missing_ok=True)
                finished = zoogram("run", self.job([Measure(), Measure("hsic")]), ranks=ranks, timeout=TIMEOUT)
                self.assertEqual(finished.code, PARTIAL, finished.report)
                self.assertEqual(finished.errors, [])
                for name in ("spoilt", "still"):
                    self.assertIn(name, finished.out + finished.err)
                tensors = read_results(self.path / "results.h5")
                self.assertTrue((tensors["cka"].codes[3] == [1, 1, 1, 1, 1]).all())
                self.assertTrue((tensors["cka"].codes[4] == [2, 2, 2, 1, 2]).all())
                self.assertTrue(np.isnan(tensors["cka"].values[3:]).all())
                self.assertTrue((tensors["hsic"].values[4, [0, 1, 2, 4]] == 0).all())
                np.testing.assert_allclose(tensors["cka"].values[:3, :3], expected.values, rtol=2e-5)

    def test_a_fault_is_said_once_and_of_the_right_array(self):
        """However many measures find it; a bad map is not the fault of the layer that it is a map of."""
        arrays = {name: array + 0 for name, array in self.layers.items()}
        maps = {name: array[:, :2] + 0 for name, array in arrays.items()}
        arrays["layer1"][3, 1] = maps["layer2"][5, 0] = np.nan
        self.zoo({"m": Network(activations=arrays, maps=maps)})
        measures = [Measure(), Measure("hsic", "rbf"), {"measure": "mmd"}, {"measure": "mmd", "kernel": "linear"},
                    {"measure": "wasserstein"}, {"measure": "isotropy"}, {"measure": "cosine"},
                    {"measure": "tsne_error", "perplexity": 5}]
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                (self.path / "results.h5").unlink(missing_ok=True)
                finished = zoogram("run", self.job(measures), ranks=ranks, timeout=TIMEOUT)
                self.assertEqual(finished.code, PARTIAL, finished.report)
                layer, map_of = (line for line in finished.err.splitlines() if "NaN or infinite" in line)
                self.assertIn("layer 'layer1': NaN", layer)
                self.assertIn("map 'layer2': NaN", map_of)

    def test_nothing_sound_at_all(self):
        self.zoo({"m": {"a": np.full((20, 3), np.nan), "b": np.zeros((20, 3))}})
        for ranks in RANKS:
            (cka,) = self.compute([Measure()], ranks=ranks, code=PARTIAL).values()
            np.testing.assert_array_equal(cka.codes, [[1, 1], [1, 2]])
            self.assertTrue(np.isnan(cka.values).all())

    def test_same_command_again_after_a_partial_result(self):
        """Complete with bad input stays complete with bad input."""
        self.zoo({"m": {**self.layers, "spoilt": np.full((20, 3), np.inf)}})
        self.compute(code=PARTIAL)
        content = (self.path / "results.h5").read_bytes()
        finished = zoogram("run", self.path / "job.yaml", ranks=2)
        self.assertEqual(finished.code, 0, finished.report)
        self.assertEqual((self.path / "results.h5").read_bytes(), content)

    def test_more_ranks_than_work(self):
        self.zoo({"m": {"a": self.layers["layer0"][:4]}})
        for team in ("auto", "all", 1, 2):
            (cka,) = self.compute([Measure()], ranks=5, team_size=team).values()
            self.assertEqual(cka.values.tolist(), [[1.0]])

    def test_ranks_that_fill_no_team_stay_idle(self):
        self.zoo({"m": self.layers})
        finished = zoogram("run", self.job(team_size=2), ranks=3)
        self.assertEqual(finished.code, 0, finished.report)
        self.assertIn("zoogram: warning: ", finished.err)
        self.assertIn("idle", finished.err)

    def test_ids_of_one_file_only(self):
        self.zoo({"m": self.layers}, ids=np.arange(20))
        write_zoo(self.path / "other.h5", {"k": self.layers})
        self.assertEqual(len(self.compute(zoo=["zoo.h5", "other.h5"])["cka"].rows), 6)


if __name__ == "__main__":
    unittest.main()
