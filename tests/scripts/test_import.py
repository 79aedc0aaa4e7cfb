"""Imports of arrays: what the zoo holds is what the files hold, copied or linked."""

import json
import os
import shutil
import struct
import unittest

import h5py
import numpy as np

from support import FolderCase
from zoogram_extract import ZooWriter
from zoogram_files import read_arrays
from zoogram_import import import_model
from zoogram_zoo import ExtractError

try:
    import safetensors.numpy as safetensors
except ImportError:
    safetensors = None

SCRIPT = "zoogram_import.py"
RANDOM = np.random.default_rng(0)
ROWS = {"in": RANDOM.normal(size=(6, 3)), "out": RANDOM.normal(size=(6, 2, 2))}
GRAPHML = """<graphml><key id="k" attr.name="op"/><graph>
<node id="a"><data key="k">in</data></node><node id="b"><data key="k">relu</data></node>
<edge source="a" target="b"/></graph></graphml>"""


def write_safetensors(path, entries):
    """entries: {name: (type, shape, bytes)}; by the format's definition."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, content) in entries.items():
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class ImportCase(FolderCase):
    def run_import(self, *arguments, output="zoo.h5"):
        options = "--model", "m", "--output", output
        return self.run_script(SCRIPT, *options, *arguments)

    def imported(self, *arguments):
        """The model, open."""
        run = self.run_import(*arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return self.opened("zoo.h5")

    def opened(self, path):
        zoo = h5py.File(self.folder / path)
        self.addCleanup(zoo.close)
        return zoo["models/m"]


class Files(ImportCase):
    def test_npz_and_npy(self):
        np.savez(self.folder / "layers.npz", **ROWS)
        np.save(self.folder / "logits.npy", ROWS["in"].astype("f2"))
        np.save(self.folder / "labels.npy", np.arange(6))
        np.save(self.folder / "ids.npy", np.array(list("abcdef")))
        (self.folder / "net.graphml").write_text(GRAPHML)
        model = self.imported(
            *("--put", "activations=layers.npz", "--put", "logits=logits.npy"),
            *("--put", "maps/in=layers.npz:in", "--put", "graph=net.graphml"),
            *("--labels", "labels.npy", "--ids", "ids.npy"),
        )
        self.assertEqual(list(model["activations"]), ["in", "out"])
        for name, rows in ROWS.items():
            np.testing.assert_array_equal(model["activations"][name], rows)
        np.testing.assert_array_equal(model["maps/in"], ROWS["in"])
        self.assertEqual(model["logits"].dtype, np.float16)
        self.assertEqual([*model["graph/op"].asstr()], ["in", "relu"])
        samples = model.file["samples"]
        self.assertEqual(samples["label"][:].tolist(), list(range(6)))
        self.assertEqual([*samples["id"].asstr()], list("abcdef"))

    def test_safetensors(self):
        half = np.array([[1.5, -2.0, 3.0]], "f2")
        bfloat = np.array([0x3F80, 0xC020], "<u2")  # 1 and -2.5
        numbers = np.arange(6, dtype="f4").reshape(2, 3)
        entries = {
            "layer.10.weight": ("F32", [2, 3], numbers.tobytes()),
            "layer.2.weight": ("F16", [1, 3], half.tobytes()),
            "norm.weight": ("BF16", [2], bfloat.tobytes()),
            "embed.weight": ("F32", [2, 3], numbers.tobytes()),
            "bn.num_batches_tracked": ("I64", [], struct.pack("<q", 7)),
            "bn.running_mean": ("F32", [2], numbers[0, :2].tobytes()),
        }
        write_safetensors(self.folder / "net.safetensors", entries)
        put = "--put", "weights=net.safetensors", "--kind", "layer.2*=other"
        weights = self.imported(*put)["weights"]
        order = ["embed.weight", "layer.2.weight", "layer.10.weight", "norm.weight"]
        self.assertEqual(
            sorted(weights, key=lambda w: weights[w].attrs["order"]), order
        )
        np.testing.assert_array_equal(weights["layer.10.weight"], numbers)
        np.testing.assert_array_equal(weights["layer.2.weight"], half)
        self.assertEqual(weights["layer.2.weight"].dtype, np.float16)
        self.assertEqual(weights["norm.weight"][:].tolist(), [1.0, -2.5])
        kinds = {name: weight.attrs.get("kind") for name, weight in weights.items()}
        expected = dict(zip(order, ["embedding", "other", None, "norm"]))
        self.assertEqual(kinds, expected)

    @unittest.skipUnless(safetensors, "safetensors is not installed")
    def test_safetensors_as_its_own_library_writes_it(self):
        given = {"b": ROWS["in"], "a.0": ROWS["out"].astype("f4"), "c": np.arange(3)}
        safetensors.save_file(given, self.folder / "net.safetensors")
        found = read_arrays(self.folder / "net.safetensors")
        self.assertEqual(set(found), set(given))
        for name, values in given.items():
            self.assertEqual(found[name].dtype, values.dtype)
            np.testing.assert_array_equal(found[name], values)

    def test_files_that_are_wrong(self):
        np.savez(self.folder / "layers.npz", **ROWS)
        np.save(self.folder / "text.npy", np.array(["a"]))
        np.save(self.folder / "whole.npy", np.arange(4))
        np.save(self.folder / "five.npy", np.zeros((5, 3)))
        (self.folder / "bad.npz").write_bytes(b"PK nonsense")
        (self.folder / "bad.safetensors").write_bytes(
            struct.pack("<Q", 1 << 40) + b"{}"
        )
        entry = {"w": ("F32", [9], bytes(4))}
        write_safetensors(self.folder / "short.safetensors", entry)
        write_safetensors(self.folder / "f8.safetensors", {"w": ("F8_E4M3", [1], b"0")})
        for put, *words in (
            ("logits=missing.npy", "missing.npy", "cannot be read"),
            ("logits=layers.npz", "2 arrays for logits"),
            ("logits=layers.npz:odd", "has no odd", "in, out"),
            ("logits=layers.txt", "suffix of .npy"),
            ("activations=bad.npz", "bad.npz", "cannot be read"),
            ("weights=bad.safetensors", "not a safetensors file"),
            ("weights=short.safetensors", "cannot be read"),
            ("weights=f8.safetensors", "w: type F8_E4M3"),
            ("colours/x=whole.npy", "colours/x", "expected one of activations"),
            ("gradients/x=layers.npz:out", "gradients/x", "[6, 2, 2]"),
            ("gradients/x=whole.npy", "type int64"),
            ("gradients/x=text.npy", "type <U1"),
            ("graph=layers.npz", "suffix of .graphml"),
            ("layers.npz", "expected WHERE=FILE"),
        ):
            with self.subTest(put=put):
                self.assert_refused(self.run_import("--put", put), SCRIPT, *words)
                self.assertFalse((self.folder / "zoo.h5").exists())
        five = "--put", "logits=five.npy", "--put", "activations=layers.npz"
        self.assert_refused(self.run_import(*five), SCRIPT, "6 samples", "logits 5")

    def test_models_of_a_zoo_have_the_same_samples(self):
        path = self.folder / "zoo.h5"
        import_model(path, "a", {"logits": ROWS["in"]}, samples={"label": [0] * 6})
        with self.assertRaisesRegex(ExtractError, "model b: .* 5 samples, but a has 6"):
            import_model(path, "b", {"logits": ROWS["in"][:5]})
        with self.assertRaisesRegex(ExtractError, "model b: sample 2 has label 7"):
            labels = {"label": [0, 0, 7, 0, 0, 0]}
            import_model(path, "b", {"logits": ROWS["in"]}, samples=labels)
        with ZooWriter(path, append=True) as zoo:
            self.assertEqual(zoo.models, ["a"])

    def test_attributes(self):
        np.save(self.folder / "sharp.npy", np.ones((2, 3)))
        model = self.imported(
            *("--put", "sharpness=sharp.npy", "--attribute", ":seed=3"),
            *("--attribute", "sharpness:radius=[0.1, 0.2]"),
        )
        self.assertEqual(model["sharpness"].attrs["radius"].tolist(), [0.1, 0.2])
        self.assertEqual(model.attrs["seed"], 3)


class Links(ImportCase):
    """The numbers stay in the other file, which may move together with the zoo."""

    def setUp(self):
        super().setUp()
        (self.folder / "old").mkdir()
        with h5py.File(self.folder / "old/run.h5", "w") as old:
            for name, rows in ROWS.items():
                old[f"nets/7/{name}"] = rows
            old["blocks"] = RANDOM.normal(size=(4, 2, 6, 5))
            self.blocks = old["blocks"][:]
        for part, rows in (("part2", slice(0, 4)), ("part10", slice(4, 6))):
            with h5py.File(self.folder / f"old/{part}.h5", "w") as old:
                old["x"] = ROWS["in"][rows]
                old["y"] = np.stack([ROWS["in"][rows]] * 3)

    def test_group_of_datasets_files_joined_and_parts_taken(self):
        self.imported(
            *("--link", "activations=old/run.h5:/nets/7"),
            *("--link", "activations/joined=old/part*.h5:/x"),
            *("--link", "activations/third=old/part*.h5:/y[2]"),
            *("--link", "activations/block=old/run.h5:/blocks[3,1]"),
        )
        size = (self.folder / "zoo.h5").stat().st_size
        moved = self.folder / "elsewhere"
        moved.mkdir()
        shutil.move(self.folder / "zoo.h5", moved)
        shutil.move(self.folder / "old", moved)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir("/")
        layers = self.opened("elsewhere/zoo.h5")["activations"]
        self.assertEqual(list(layers), ["in", "out", "joined", "third", "block"])
        expected = dict(ROWS, joined=ROWS["in"], third=ROWS["in"])
        for name, rows in dict(expected, block=self.blocks[3, 1]).items():
            np.testing.assert_array_equal(layers[name], rows, err_msg=name)
        kinds = [layers.get(name, getlink=True) for name in ("in", "out")]
        self.assertTrue(all(isinstance(kind, h5py.ExternalLink) for kind in kinds))
        self.assertTrue(layers["joined"].is_virtual)
        self.assertLess(size, 20000)

    def test_zoo_in_another_folder(self):
        (self.folder / "zoos").mkdir()
        run = self.run_import(
            *("--link", "activations/in=old/run.h5:/nets/7/in"),
            *("--link", "activations/joined=old/part*.h5:/x"),
            output="zoos/zoo.h5",
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        layers = self.opened("zoos/zoo.h5")["activations"]
        for rows in layers.values():
            np.testing.assert_array_equal(rows, ROWS["in"])

    def test_links_that_are_wrong(self):
        with h5py.File(self.folder / "old/part3.h5", "w") as old:
            old["x"] = ROWS["in"][:, :2]
        for link, *words in (
            ("logits=old/none*.h5:/x", "old/none*.h5", "no such file"),
            ("logits=old/run.h5:/x", "old/run.h5", "has no /x"),
            ("logits=old/run.h5", "expected FILE:/ENTRY"),
            ("activations=old/run.h5:/nets", "has no datasets"),
            ("logits=old/run.h5:/blocks", "logits", "[4, 2, 6, 5]"),
            ("logits=old/run.h5:/blocks[9,0]", "[9, 0] is beyond [4, 2, 6, 5]"),
            ("logits=old/part*.h5:/x", "/x: cannot be joined"),
            ("logits=old/run.h5:/nets/7/in[0,0]", "too few axes"),
        ):
            with self.subTest(link=link):
                self.assert_refused(self.run_import("--link", link), SCRIPT, *words)


if __name__ == "__main__":
    unittest.main()
