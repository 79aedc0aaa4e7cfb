"""scripts/zoogram_extract.py against activations computed by hand in PyTorch."""

import unittest
import warnings
from collections import OrderedDict
from dataclasses import dataclass

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from support import FolderCase
from zoogram_extract import ExtractError, ZooWriter, extract

IMAGES = torch.randn(10, 3, 6, 5, generator=torch.Generator().manual_seed(1))
VECTORS = torch.randn(10, 7, generator=torch.Generator().manual_seed(2))
TOKENS = torch.randn(10, 4, 8, generator=torch.Generator().manual_seed(3))
LABELS = torch.arange(10) % 3


class ConvNet(nn.Module):
    """An in-place ReLU follows the layer of interest, as in most vision models."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, images):
        return self.drop(self.relu(self.norm(self.conv(images))))


class Reused(nn.Module):
    """One module called three times in a forward pass."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(7, 2)
        self.step = nn.Linear(7, 7)

    def forward(self, vectors):
        for _ in range(3):
            vectors = self.step(vectors).tanh_()
        return self.last(vectors)


class Gives(nn.Module):
    """A module whose output is function(input)."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, values):
        return self.function(values)


class Holder(nn.Module):
    """Runs one inner module as the layer `inner`; its output does not matter."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, values):
        self.inner(values)
        return values


@dataclass
class Output:
    count: int
    hidden: torch.Tensor


def loader(inputs, batch=4, labels=LABELS):
    return DataLoader(TensorDataset(inputs, labels), batch_size=batch)


class ExtractCase(FolderCase):
    def setUp(self):
        super().setUp()
        torch.manual_seed(0)
        self.path = self.folder / "zoo.h5"

    def read(self, model, layer):
        with h5py.File(self.path, "r") as zoo:
            return zoo[f"models/{model}/activations/{layer}"][:]

    def names(self, model):
        """Layers in the order of the `order` attribute."""
        with h5py.File(self.path, "r") as zoo:
            layers = zoo[f"models/{model}/activations"]
            return sorted(layers, key=lambda name: layers[name].attrs["order"])

    def record(self, inner, inputs, **options):
        """Activations of `inner` on the inputs, recorded as model m."""
        extract(Holder(inner), loader(inputs), self.path, "m", "inner", **options)
        return self.read("m", "inner")


class RecordedValues(ExtractCase):
    def test_in_place_relu_does_not_change_what_was_recorded(self):
        model = ConvNet()
        extract(model, loader(IMAGES), self.path, "m")
        conv = functional.conv2d(IMAGES, model.conv.weight, model.conv.bias)
        scale = model.norm.weight / torch.sqrt(model.norm.running_var + model.norm.eps)
        norm = (conv - model.norm.running_mean[:, None, None]) * scale[:, None, None]
        norm = norm + model.norm.bias[:, None, None]
        expected = {"conv": conv, "norm": norm, "relu": norm.clamp(min=0)}
        expected["drop"] = expected["relu"]
        for name, values in expected.items():
            recorded = self.read("m", name)
            np.testing.assert_allclose(
                recorded, values.detach().reshape(10, -1), atol=1e-5, err_msg=name
            )
        self.assertLess(self.read("m", "norm").min(), 0)

    def test_reused_module_is_recorded_per_call_in_order_of_execution(self):
        model = Reused()
        names = extract(model, loader(VECTORS), self.path, "m")
        self.assertEqual(names, ["step", "step:2", "step:3", "last"])
        self.assertEqual(self.names("m"), names)
        values = VECTORS
        for name in names[:3]:
            values = functional.linear(values, model.step.weight, model.step.bias)
            np.testing.assert_allclose(
                self.read("m", name), values.detach(), atol=1e-6, err_msg=name
            )
            values = values.tanh()

    def test_batches_of_any_size_give_the_same_rows(self):
        model = nn.Sequential(nn.Linear(7, 5))
        for name, batch in (("whole", 10), ("uneven", 3), ("single", 1)):
            extract(model, loader(VECTORS, batch), self.path, name)
        for name in ("uneven", "single"):
            np.testing.assert_allclose(
                self.read(name, "0"), self.read("whole", "0"), atol=1e-6
            )

    def test_maps_are_flattened_or_pooled(self):
        flat = IMAGES.numpy()
        halves = flat.reshape(10, 3, 2, 3, 5).mean(axis=3)  # of the 6 rows
        # adaptive pooling of 5 columns to 2: columns 0 to 2 and 2 to 4
        pooled = np.stack([halves[..., 0:3].mean(-1), halves[..., 2:5].mean(-1)], -1)
        for rule, expected in {
            "flatten": flat,
            "pool": flat.mean(axis=(2, 3)),
            "pool:1": flat.mean(axis=(2, 3)),
            "pool:2": pooled,
            "pool:6": flat,  # the 5 columns stay as they are
        }.items():
            with self.subTest(rule=rule):
                extract(
                    Holder(nn.Identity()), loader(IMAGES), self.path, rule, maps=rule
                )
                np.testing.assert_allclose(
                    self.read(rule, "inner"), expected.reshape(10, -1), atol=1e-6
                )

    def test_tokens_are_flattened_averaged_or_the_first_is_taken(self):
        tokens = TOKENS.numpy()
        for rule, expected in {
            "flatten": tokens.reshape(10, -1),
            "mean": tokens.mean(axis=1),
            "first": tokens[:, 0],
        }.items():
            with self.subTest(rule=rule):
                extract(
                    Holder(nn.Identity()), loader(TOKENS), self.path, rule, tokens=rule
                )
                np.testing.assert_allclose(
                    self.read(rule, "inner"), expected, atol=1e-6
                )

    def test_other_shapes_are_flattened(self):
        scalars = self.record(Gives(lambda x: x[:, 0]), VECTORS)
        np.testing.assert_array_equal(scalars, VECTORS[:, :1])

    def test_first_tensor_of_a_structured_output_is_taken(self):
        for number, give in enumerate(
            (
                lambda x: (x, -x),
                lambda x: [None, {"a": "text", "b": x}, -x],
                lambda x: OrderedDict(logits=x, other=-x),
                lambda x: Output(3, x),
            )
        ):
            with self.subTest(structure=number):
                extract(Holder(Gives(give)), loader(VECTORS), self.path, str(number))
                np.testing.assert_array_equal(self.read(str(number), "inner"), VECTORS)

    def test_lstm_gives_its_output_sequence(self):
        lstm = nn.LSTM(8, 3, batch_first=True)
        recorded = self.record(lstm, TOKENS)
        np.testing.assert_allclose(
            recorded, lstm(TOKENS)[0].detach().reshape(10, -1), atol=1e-6
        )

    def test_modules_inside_a_fused_transformer_layer_are_recorded(self):
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # out_proj is never called as a module
            names = extract(nn.Sequential(layer), loader(TOKENS), self.path, "m")
        self.assertIn("0.linear1", names)
        self.assertIn("0.self_attn", names)
        np.testing.assert_allclose(
            self.read("m", "0"), layer(TOKENS).detach().reshape(10, -1), atol=1e-5
        )

    def test_float16_is_rounded_from_float32(self):
        recorded = self.record(nn.Identity(), VECTORS, dtype="float16")
        self.assertEqual(recorded.dtype, np.float16)
        np.testing.assert_array_equal(recorded, VECTORS.numpy().astype(np.float16))

    def test_half_and_double_models_are_recorded_as_asked(self):
        for dtype in (torch.bfloat16, torch.float16, torch.float64):
            with self.subTest(dtype=dtype):
                inputs = IMAGES.to(dtype)
                extract(
                    Holder(nn.Identity()),
                    loader(inputs),
                    self.path,
                    str(dtype),
                    maps="pool",
                )
                recorded = self.read(str(dtype), "inner")
                self.assertEqual(recorded.dtype, np.float32)
                np.testing.assert_allclose(
                    recorded, inputs.double().mean(dim=(2, 3)), atol=1e-6
                )

    def test_non_finite_values_are_kept_for_zoogram_to_report(self):
        inputs = VECTORS.clone()
        inputs[3, 2], inputs[4, 1] = np.inf, np.nan
        recorded = self.record(nn.Identity(), inputs, dtype="float16")
        self.assertEqual(recorded[3, 2], np.inf)
        self.assertTrue(np.isnan(recorded[4, 1]))

    def test_limit_cuts_in_the_middle_of_a_batch(self):
        recorded = self.record(nn.Identity(), VECTORS, limit=6)
        np.testing.assert_array_equal(recorded, VECTORS[:6])
        with h5py.File(self.path, "r") as zoo:
            np.testing.assert_array_equal(zoo["samples/label"], LABELS[:6])


class Model(ExtractCase):
    def test_modes_are_restored_and_no_gradient_or_hook_is_left(self):
        model = ConvNet().train()
        model.norm.eval()
        before = model.norm.running_mean.clone()
        extract(model, loader(IMAGES), self.path, "m")
        self.assertTrue(model.training and model.drop.training)
        self.assertFalse(model.norm.training)
        self.assertTrue(torch.equal(model.norm.running_mean, before))
        self.assertTrue(all(p.grad is None for p in model.parameters()))
        self.assertFalse(any(m._forward_hooks for m in model.modules()))

    def test_hooks_and_modes_are_restored_after_an_error(self):
        model = Holder(Gives(lambda x: "text")).train()
        with self.assertRaises(ExtractError):
            extract(model, loader(VECTORS), self.path, "m")
        self.assertTrue(model.training)
        self.assertFalse(model.inner._forward_hooks)

    def test_device_is_taken_for_model_and_inputs(self):
        extract(Holder(nn.Linear(7, 2)), loader(VECTORS), self.path, "m", device="cpu")
        self.assertEqual(self.read("m", "inner").shape, (10, 2))

    def test_patterns_choose_and_exclude_modules(self):
        model = ConvNet()
        names = extract(
            model, loader(IMAGES), self.path, "m", ["c*", "[dn]*"], exclude="drop"
        )
        self.assertEqual(names, ["conv", "norm"])


class Batches(ExtractCase):
    MODEL = nn.Sequential(nn.Linear(7, 2))

    def samples(self):
        with h5py.File(self.path, "r") as zoo:
            return {
                key: (
                    values.asstr()[:].tolist()
                    if h5py.check_string_dtype(values.dtype)
                    else values[:].tolist()
                )
                for key, values in zoo["samples"].items()
            }

    def test_bare_tensors_have_neither_labels_nor_ids(self):
        extract(self.MODEL, VECTORS.split(4), self.path, "m")
        self.assertEqual(self.samples(), {})
        self.assertEqual(self.read("m", "0").shape, (10, 2))

    def test_ids_may_be_the_third_part(self):
        ids = [f"sämple-{i}" for i in range(10)]
        batches = [
            (VECTORS[i : i + 5], LABELS[i : i + 5], ids[i : i + 5]) for i in (0, 5)
        ]
        extract(self.MODEL, batches, self.path, "m")
        self.assertEqual(self.samples(), {"id": ids, "label": LABELS.tolist()})

    def test_mappings_are_keyword_arguments(self):
        batch = {"input": VECTORS, "labels": LABELS, "ids": torch.arange(10) + 5}
        extract(self.MODEL, [batch], self.path, "m")
        self.assertEqual(
            self.samples(), {"id": list(range(5, 15)), "label": LABELS.tolist()}
        )

    def test_labels_that_are_not_one_integer_per_sample_are_left_out(self):
        for number, labels in enumerate((torch.rand(10), torch.zeros(10, 2).long())):
            extract(self.MODEL, [(VECTORS, labels)], self.path, str(number))
        self.assertEqual(self.samples(), {})


class ZooFile(ExtractCase):
    def test_several_models_share_a_zoo_in_order(self):
        with ZooWriter(self.path) as zoo:
            for name in ("zeta", "alpha", "model10", "model9"):
                extract(Holder(nn.Linear(7, 3)), loader(VECTORS), zoo, name)
            self.assertEqual(zoo.models, ["zeta", "alpha", "model10", "model9"])
        with h5py.File(self.path, "r") as zoo:
            self.assertEqual(zoo.attrs["format"], "zoogram-zoo")
            self.assertEqual(zoo.attrs["version"], 1)
            self.assertEqual(
                list(zoo["models"]), ["zeta", "alpha", "model10", "model9"]
            )
            orders = [model.attrs["order"] for model in zoo["models"].values()]
            self.assertEqual(orders, [0, 1, 2, 3])
            self.assertEqual(set(zoo), {"models", "samples"})

    def test_appending_continues_the_order(self):
        extract(Holder(nn.Linear(7, 3)), loader(VECTORS), self.path, "first")
        with ZooWriter(self.path, append=True) as zoo:
            extract(Holder(nn.Linear(7, 2)), loader(VECTORS), zoo, "second")
        with h5py.File(self.path, "r") as zoo:
            self.assertEqual(zoo["models/second"].attrs["order"], 1)

    def test_provenance_is_recorded(self):
        extract(
            ConvNet(),
            loader(IMAGES),
            self.path,
            "m",
            maps="pool:2",
            dtype="float16",
            attributes={"test_accuracy": 0.5},
        )
        with h5py.File(self.path, "r") as zoo:
            model = zoo["models/m"].attrs
            self.assertEqual(model["torch_version"], torch.__version__)
            self.assertTrue(model["model_class"].endswith(".ConvNet"))
            self.assertEqual(
                [model[key] for key in ("maps", "dtype", "test_accuracy")],
                ["pool:2", "float16", 0.5],
            )
            self.assertRegex(model["created"], r"^\d{4}-\d\d-\d\dT")
            layer = zoo["models/m/activations/conv"].attrs
            self.assertEqual(layer["reduction"], "pool:2")
            self.assertEqual(layer["module_class"], "Conv2d")
            self.assertEqual(layer["shape"].tolist(), [4, 4, 3])

    def test_chunks_are_rows_of_about_a_mebibyte(self):
        wide = nn.Sequential(nn.Linear(7, 50_000))
        extract(wide, loader(VECTORS), self.path, "m")
        with h5py.File(self.path, "r") as zoo:
            layer = zoo["models/m/activations/0"]
            self.assertEqual(layer.chunks, (5, 50_000))
            self.assertTrue(layer.shuffle and layer.compression == "gzip")

    def test_compression_can_be_left_out(self):
        with ZooWriter(self.path, gzip=0) as zoo:
            extract(Holder(nn.Identity()), loader(VECTORS), zoo, "m")
        with h5py.File(self.path, "r") as zoo:
            layer = zoo["models/m/activations/inner"]
            self.assertIsNone(layer.compression)
            self.assertEqual(layer.chunks, (10, 7))

    def test_failed_model_leaves_the_zoo_as_it_was(self):
        extract(Holder(nn.Identity()), loader(VECTORS), self.path, "good")
        with self.assertRaises(ExtractError):
            extract(Holder(Gives(lambda x: None)), loader(VECTORS), self.path, "bad")
        with h5py.File(self.path, "r") as zoo:
            self.assertEqual(list(zoo["models"]), ["good"])
            self.assertEqual(set(zoo), {"models", "samples"})

    def test_new_file_without_a_model_is_removed(self):
        with self.assertRaises(ExtractError):
            extract(Holder(Gives(lambda x: None)), loader(VECTORS), self.path, "bad")
        self.assertFalse(self.path.exists())


class Refusals(ExtractCase):
    def assert_refused(self, words, model, batches, name="m", *layers, **options):
        with self.assertRaises(ExtractError) as caught:
            extract(model, batches, self.path, name, layers or "*", **options)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_pattern_that_matches_nothing(self):
        self.assert_refused(
            ["'layer*'", "conv, norm"], ConvNet(), loader(IMAGES), "m", "conv", "layer*"
        )

    def test_everything_excluded(self):
        self.assert_refused(["excluding"], ConvNet(), loader(IMAGES), exclude="*")

    def test_layer_that_forward_never_runs(self):
        model = Holder(nn.Identity())
        model.idle = nn.Linear(2, 2)
        self.assert_refused(
            ["model m", "'idle'"], model, loader(VECTORS), "m", "inner", "idle"
        )
        with self.assertWarnsRegex(UserWarning, "idle"):
            extract(model, loader(VECTORS), self.path, "m")

    def test_layer_that_runs_for_some_batches_only(self):
        model = nn.Sequential(nn.Identity(), nn.Identity())
        model.forward = lambda x: model[1](x) if len(x) < 4 else model[0](x)
        self.assert_refused(["some batches", "layer"], model, loader(VECTORS))

    def test_no_tensor_in_the_output(self):
        model = Holder(Gives(lambda x: {"text": "none"}))
        self.assert_refused(["model m", "layer inner", "dict"], model, loader(VECTORS))

    def test_float16_overflow_names_model_and_layer(self):
        model = Holder(Gives(lambda x: x * 0 + 70000))
        words = ["model m", "layer inner", "70000", "float16", "65504"]
        self.assert_refused(words, model, loader(VECTORS), dtype="float16")
        model = Holder(Gives(lambda x: x * 0 - 65505))
        self.assert_refused(words[:2], model, loader(VECTORS), dtype="float16")
        extract(
            Holder(Gives(lambda x: x * 0 + 65504)),
            loader(VECTORS),
            self.path,
            "m",
            dtype="float16",
        )

    def test_batch_is_not_the_first_axis(self):
        model = Holder(Gives(lambda x: x.transpose(0, 1)))
        self.assert_refused(["[7, 4]", "4 samples", "inner"], model, loader(VECTORS))

    def test_complex_output(self):
        model = Holder(Gives(lambda x: torch.complex(x, x)))
        self.assert_refused(["complex", "inner"], model, loader(VECTORS))

    def test_number_of_features_that_varies(self):
        batches = [torch.zeros(4, 3, 2), torch.zeros(4, 5, 2)]
        self.assert_refused(["10 features", "6 before"], Holder(nn.Identity()), batches)

    def test_model_name_that_exists(self):
        extract(Holder(nn.Identity()), loader(VECTORS), self.path, "m")
        self.assert_refused(["model m already"], Holder(nn.Identity()), loader(VECTORS))

    def test_model_name_that_hdf5_cannot_hold(self):
        for name in ("", "a/b", "."):
            self.assert_refused(
                ["model's name"], Holder(nn.Identity()), loader(VECTORS), name
            )

    def test_loader_of_another_length(self):
        extract(Holder(nn.Identity()), loader(VECTORS), self.path, "first")
        self.assert_refused(
            ["model m", "9 samples", "first has 10"],
            Holder(nn.Identity()),
            loader(VECTORS[:9], labels=LABELS[:9]),
        )

    def test_samples_in_another_order(self):
        extract(Holder(nn.Identity()), loader(VECTORS), self.path, "first")
        self.assert_refused(
            ["model m", "sample 0", "label 1", "same order"],
            Holder(nn.Identity()),
            loader(VECTORS, labels=(LABELS + 1) % 3),
        )

    def test_shuffling_loader(self):
        data = TensorDataset(VECTORS, LABELS)
        shuffled = DataLoader(data, batch_size=4, shuffle=True)
        self.assert_refused(["shuffle"], Holder(nn.Identity()), shuffled)

    def test_empty_loader(self):
        self.assert_refused(["no samples"], Holder(nn.Identity()), [])

    def test_file_that_is_no_zoo(self):
        self.path.write_text("text")
        self.assert_refused(["cannot be opened"], Holder(nn.Identity()), [])
        with h5py.File(self.path, "w") as file:
            file.attrs["format"] = "other"
        self.assert_refused(["not a zoogram zoo"], Holder(nn.Identity()), [])

    def test_existing_zoo_without_append(self):
        self.path.touch()
        with self.assertRaisesRegex(ExtractError, "exists already"):
            ZooWriter(self.path)

    def test_options_out_of_range(self):
        for options in (
            dict(maps="pool:0"),
            dict(maps="max"),
            dict(tokens="last"),
            dict(dtype="int8"),
            dict(limit=-1),
        ):
            with self.subTest(**options):
                self.assert_refused(
                    [str(next(iter(options.values())))],
                    Holder(nn.Identity()),
                    loader(VECTORS),
                    **options,
                )


NETS = """
import torch
from torch.utils.data import DataLoader, TensorDataset

def small():
    return torch.nn.Sequential(torch.nn.Linear(7, 4), torch.nn.ReLU(inplace=True))

def other():
    model = torch.nn.Sequential()
    model.add_module("body", torch.nn.Linear(7, 4))
    return model

def number():
    return 3

def data():
    torch.manual_seed(5)
    return DataLoader(TensorDataset(torch.randn(10, 7), torch.arange(10)), batch_size=4)
"""


SMALL = ["--data", "nets:data", "--model", "nets:small"]


class CommandLine(ExtractCase):
    SCRIPT = "zoogram_extract.py"

    def setUp(self):
        super().setUp()
        (self.folder / "nets.py").write_text(NETS)

    def run_extract(self, *arguments):
        return self.run_script(self.SCRIPT, *arguments, "--output", self.path)

    def test_models_and_loader_from_factories(self):
        run = self.run_extract(
            "--model",
            "nets:small",
            "--model",
            "b=nets:small",
            "--data",
            "nets:data",
            "--layers",
            "0",
            "--dtype",
            "float16",
            "--limit",
            9,
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        first, second = self.read("small", "0"), self.read("b", "0")
        self.assertEqual((first.shape, first.dtype), ((9, 4), np.float16))
        self.assertFalse(np.array_equal(first, second), "the seeds of models differ")

    def test_patterns_are_shared_by_models_of_different_kinds(self):
        run = self.run_extract(*SMALL, "--model", "nets:other", "--layers", "0", "body")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.names("small") + self.names("other"), ["0", "body"])

    def test_append_is_asked_for(self):
        arguments = ["--data", "nets:data", "--model"]
        self.assertEqual(self.run_extract(*arguments, "nets:small").returncode, 0)
        refused = self.run_extract(*arguments, "b=nets:small")
        self.assert_refused(refused, self.SCRIPT, "exists already")
        run = self.run_extract("--append", *arguments, "b=nets:small")
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_errors_are_one_line_and_status_two(self):
        for arguments, word in (
            (["--model", "nets:small"], "--images"),
            (["--data", "nets:data"], "no model"),
            (["--data", "nets:data", "--model", "nets:none"], "nets:none"),
            (["--data", "nets:data", "--model", "nets:number"], "int"),
            (["--data", "nets:data", "--torchvision", "resnet0"], "resnet0"),
            (["--images", "nowhere", "--model", "nets:small"], "nowhere"),
            (SMALL + ["--layers", "9"], "model small: no layer matches 9"),
            (SMALL + ["--layers", "0", "conv*"], "'conv*'"),
            (SMALL + ["--model", "nets:other", "--layers", "0"], "model other"),
        ):
            with self.subTest(arguments=arguments):
                self.assert_refused(self.run_extract(*arguments), self.SCRIPT, word)
                self.assertFalse(self.path.exists())

    def test_torchvision_models_on_a_folder_of_images(self):
        from PIL import Image

        for number, name in enumerate(("dog/a.png", "cat/b.png", "cat/a.png")):
            path = self.folder / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (50, 40), (number * 60, 30, 90)).save(path)
        run = self.run_extract(
            "--torchvision",
            "squeezenet1_1",
            "--images",
            "images",
            "--image-size",
            32,
            "--layers",
            "features.?",
            "--maps",
            "pool",
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.read("squeezenet1_1", "features.0").shape, (3, 64))
        with h5py.File(self.path, "r") as zoo:
            self.assertEqual(zoo["samples/label"][:].tolist(), [0, 0, 1])
            self.assertEqual(
                zoo["samples/id"].asstr()[:].tolist(),
                ["cat/a.png", "cat/b.png", "dog/a.png"],
            )

    def test_random_images_have_ids_but_no_labels(self):
        run = self.run_extract(
            "--torchvision",
            "a=squeezenet1_1",
            "--images",
            "random:5",
            "--batch-size",
            2,
            "--image-size",
            32,
            "--layers",
            "features.0",
            "--maps",
            "pool",
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        with h5py.File(self.path, "r") as zoo:
            self.assertEqual(list(zoo["samples"]), ["id"])
            self.assertEqual(zoo["samples/id"][:].tolist(), list(range(5)))


if __name__ == "__main__":
    unittest.main()
