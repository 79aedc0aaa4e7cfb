"""What the extractor records of parameters and losses, against numbers worked out by
hand: weights and their kinds, logits, gradients, sample gradients, sharpness."""

import math
import unittest
from unittest import mock

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from support import FolderCase
import zoogram_gradients
from zoogram_extract import ExtractError, ZooWriter, extract

HAS_TORCH_FUNC = hasattr(torch, "func")
VECTORS = torch.randn(
    10, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64
)
IMAGES = torch.randn(10, 4, 8, 5, generator=torch.Generator().manual_seed(2))
LABELS = torch.arange(10) % 3


def loader(inputs, batch=4):
    return DataLoader(TensorDataset(inputs, LABELS), batch_size=batch)


class RecordCase(FolderCase):
    def setUp(self):
        super().setUp()
        torch.manual_seed(0)
        self.path = self.folder / "zoo.h5"

    def record(self, model, batches, *record, layers=(), name="m", **settings):
        extract(model, batches, self.path, name, layers, record=record, **settings)

    def read(self, path, name="m"):
        """The dataset's numbers and attributes."""
        with h5py.File(self.path, "r") as zoo:
            data = zoo[f"models/{name}/{path}"]
            return data[()], dict(data.attrs)

    def names(self, path, name="m"):
        """Entries of a group by their `order`, which must be the order of creation."""
        with h5py.File(self.path, "r") as zoo:
            group = zoo[f"models/{name}/{path}"]
            ordered = sorted(group, key=lambda entry: group[entry].attrs["order"])
            self.assertEqual(ordered, list(group))
            return ordered


class Parts(nn.Module):
    """One module of each kind; convolutions are called, the rest is only held."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(2, 3))
        self.conv = nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2)
        self.same = nn.Conv2d(6, 2, (2, 3), padding="same", bias=False)
        self.ring = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")
        self.valid = nn.Conv2d(2, 2, 2, padding="valid")
        self.up = nn.ConvTranspose2d(2, 3, 2)
        self.line = nn.Conv1d(3, 5, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.attention = nn.MultiheadAttention(4, 2)
        self.words = nn.Embedding(7, 4)
        self.lstm = nn.LSTM(3, 2)
        self.pair = nn.Bilinear(2, 3, 4)
        self.head = nn.Linear(4, 7)
        self.head.weight = self.words.weight  # tied
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, images):
        maps = self.valid(self.ring(self.same(self.conv(images))))
        self.line(self.norm(self.up(maps)).flatten(2))
        return maps.mean((2, 3)) * self.scale


class Weights(RecordCase):
    def setUp(self):
        super().setUp()
        self.model = Parts()
        self.record(self.model, loader(IMAGES), "weights")

    def test_every_parameter_is_there_once_in_order_with_its_numbers(self):
        expected = dict(self.model.named_parameters())
        self.assertEqual(self.names("weights"), list(expected))
        self.assertNotIn("head.weight", expected, "tied to the embedding")
        for name, parameter in expected.items():
            values, _ = self.read(f"weights/{name}")
            self.assertEqual(values.dtype, np.float32)
            shape = values.shape
            if name == "line.weight":
                self.assertEqual(shape, (5, 3, 1, 3))
            else:
                self.assertEqual(shape, tuple(parameter.shape))
            flat = parameter.detach().reshape(shape)
            np.testing.assert_array_equal(values, flat, err_msg=name)

    def test_kinds(self):
        kinds = {
            name: self.read(f"weights/{name}")[1]["kind"]
            for name in self.names("weights")
        }
        by_kind = {}
        for name, kind in kinds.items():
            by_kind.setdefault(kind, []).append(name)
        self.assertEqual(
            by_kind["conv"],
            [f"{n}.weight" for n in ("conv", "same", "ring", "valid", "line")],
        )
        self.assertEqual(
            by_kind["linear"], ["attention.in_proj_weight", "attention.out_proj.weight"]
        )
        self.assertEqual(by_kind["embedding"], ["words.weight"])
        self.assertEqual(by_kind["norm"], ["norm.weight"])
        self.assertEqual(
            by_kind["other"],
            ["token", "scale", "up.weight"]
            + [f"lstm.{n}_l0" for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            + ["pair.weight"],
        )
        self.assertEqual(
            by_kind["bias"],
            [f"{n}.bias" for n in ("conv", "ring", "valid", "up", "line", "norm")]
            + ["attention.in_proj_bias", "attention.out_proj.bias"]
            + ["pair.bias", "head.bias"],
        )

    def test_sizes_of_convolutions(self):
        # 8 x 5 images; conv gives (8 + 2 - 3) // 2 + 1 = 4 and 5 - 2 * 1 = 3
        expected = {
            "conv": ([8, 5], [2, 1], [1, 2], [1, 0], 2, "zeros"),
            "same": ([4, 3], [1, 1], [1, 1], [0, 1, 1, 1], 1, "zeros"),
            "ring": ([4, 3], [1, 1], [1, 1], [1, 1], 1, "circular"),
            "valid": ([4, 3], [1, 1], [1, 1], [0, 0], 1, "zeros"),
            # 3 x 2 maps, of which the transposed one makes 4 x 3
            "line": ([1, 12], [1, 2], [1, 1], [0, 1], 1, "zeros"),
        }
        keys = ("input_size", "stride", "dilation", "padding", "groups", "padding_mode")
        for name, values in expected.items():
            _, attributes = self.read(f"weights/{name}.weight")
            found = [np.asarray(attributes[key]).tolist() for key in keys]
            self.assertEqual(found, list(values), name)

    def test_without_a_loader_there_is_no_input_size(self):
        self.record(self.model, None, "weights", name="alone")
        _, attributes = self.read("weights/conv.weight", "alone")
        self.assertNotIn("input_size", attributes)
        self.assertEqual(attributes["groups"], 2)

    def test_half_types(self):
        for dtype, stored in ((torch.float16, "f2"), (torch.bfloat16, "f4")):
            model = nn.Linear(3, 2).to(dtype)
            self.record(model, None, "weights", name=str(dtype))
            values, _ = self.read("weights/weight", str(dtype))
            self.assertEqual(values.dtype, np.dtype(stored))
            np.testing.assert_array_equal(values, model.weight.detach().float())

    def test_model_without_parameters(self):
        with self.assertRaisesRegex(ExtractError, "model none: has no parameters"):
            self.record(nn.ReLU(), None, "weights", name="none")


class Logits(RecordCase):
    MODEL = nn.Sequential(nn.Linear(6, 3)).double()

    def test_logits_are_those_of_all_samples_up_to_the_limit(self):
        self.record(self.MODEL, loader(VECTORS), "logits", layers="*", limit=9)
        expected = self.MODEL(VECTORS)[:9].detach()
        np.testing.assert_allclose(self.read("logits")[0], expected, rtol=1e-14)
        self.assertEqual(len(self.read("activations/0")[0]), 9)
        with h5py.File(self.path, "r") as zoo:
            self.assertEqual(zoo["samples/label"][:].tolist(), LABELS[:9].tolist())

    def test_logits_may_be_a_part_of_the_output(self):
        model = nn.Sequential(nn.Linear(6, 3)).double()
        whole = model.forward
        model.forward = lambda x: {"hidden": x[:, :, None], "scores": whole(x)}
        batches = loader(VECTORS)
        with self.assertRaisesRegex(
            ExtractError, r"model m: .* 4 samples.*\[4, 6, 1\].*to_logits"
        ):
            self.record(model, batches, "logits")
        with self.assertRaisesRegex(
            ExtractError, r"of 4 samples are of shape \[3, 3\]"
        ):
            self.record(model, batches, "logits", to_logits=lambda o: o["scores"][1:])
        self.record(model, batches, "logits", to_logits=lambda out: out["scores"])
        expected = whole(VECTORS).detach()
        np.testing.assert_allclose(self.read("logits")[0], expected, rtol=1e-14)


def hand_gradient(model, inputs, labels):
    """Gradient of softmax regression by hand: (p - y) x', and p - y for the bias."""
    weight, bias = (p.detach().numpy() for p in model[0].parameters())
    scores = inputs.numpy() @ weight.T + bias
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    p[np.arange(len(p)), labels] -= 1
    rows = [np.concatenate([np.outer(r, x).ravel(), r]) for r, x in zip(p, inputs)]
    return np.stack(rows)


class Gradients(RecordCase):
    def setUp(self):
        super().setUp()
        self.model = nn.Sequential(nn.Linear(6, 3)).double()
        self.rows = hand_gradient(self.model, VECTORS, LABELS)

    def assert_gradient(self, task, expected):
        values, _ = self.read(f"gradients/{task}")
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-15)

    def test_loss_of_all_samples_with_an_uneven_last_batch(self):
        self.record(self.model, loader(VECTORS), "gradients")
        self.assert_gradient("loss", self.rows.mean(0))
        with h5py.File(self.path, "r") as zoo:
            names = list(zoo["models/m/gradients"].attrs["parameters"])
        self.assertEqual(names, ["0.weight", "0.bias"])

    def test_one_task_per_class_or_batch(self):
        self.record(self.model, loader(VECTORS), "gradients", tasks="class")
        self.assertEqual(self.names("gradients"), ["class0", "class1", "class2"])
        for label in range(3):
            expected = self.rows[LABELS.numpy() == label].mean(0)
            self.assert_gradient(f"class{label}", expected)
        self.path.unlink()
        self.record(self.model, loader(VECTORS), "gradients", tasks="batch", limit=6)
        self.assertEqual(self.names("gradients"), ["batch0", "batch1"])
        self.assert_gradient("batch1", self.rows[4:6].mean(0))

    def test_tasks_of_ones_own(self):
        halves = [(VECTORS[4:7], LABELS[4:7]), (VECTORS[7:], LABELS[7:])]
        tasks = {
            "second": (None, halves),
            "sum": (lambda logits, labels: logits.sum(1).mean(), (VECTORS, LABELS)),
        }
        self.record(self.model, loader(VECTORS), "gradients", tasks=tasks)
        self.assertEqual(self.names("gradients"), ["second", "sum"])
        self.assert_gradient("second", self.rows[4:].mean(0))
        mean = VECTORS.mean(0).numpy()
        self.assert_gradient("sum", np.concatenate([np.tile(mean, 3), np.ones(3)]))

    def test_shared_and_unused_parameters(self):
        model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(2, 2))
        model[1].weight = model[0].weight
        model.forward = lambda x: model[1](model[0](x))
        self.record(model.double(), loader(VECTORS), "gradients", "weights")
        values, _ = self.read("gradients/loss")
        model.zero_grad()
        functional.cross_entropy(model(VECTORS), LABELS).backward()
        expected = [model[0].weight.grad, model[0].bias.grad, model[1].bias.grad]
        expected = torch.cat([part.reshape(-1) for part in expected] + [torch.zeros(6)])
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-15)
        sizes = [self.read(f"weights/{n}")[0].size for n in self.names("weights")]
        self.assertEqual(sum(sizes), len(values))

    def test_generator_can_be_gone_through_once_only(self):
        batches = ((VECTORS[i : i + 5], LABELS[i : i + 5]) for i in (0, 5))
        record = ("logits", "gradients", "sharpness")
        self.record(self.model, batches, *record, layers="*")
        self.assert_gradient("loss", self.rows.mean(0))

    def test_modes_flags_and_gradients_are_as_before(self):
        model = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.9)).double().train()
        model[0].bias.requires_grad_(False)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        record = ("gradients", "sample-gradients", "tangent", "sharpness")
        self.record(model, loader(VECTORS), *record)
        self.assert_gradient("loss", hand_gradient(model, VECTORS, LABELS).mean(0))
        self.assertTrue(model[1].training)
        self.assertEqual([p.requires_grad for p in model.parameters()], [True, False])
        self.assertTrue(all(p.grad is None for p in model.parameters()))
        for parameter, value in zip(model.parameters(), before):
            self.assertTrue(torch.equal(parameter, value))

    def test_type_of_the_stored_numbers(self):
        record = ("gradients", "sample-gradients")
        batches = loader(VECTORS)
        self.record(self.model, batches, *record, derivative_dtype="float16")
        for path, rows in (("loss", self.rows.mean(0)), (None, self.rows)):
            path = f"gradients/{path}" if path else "sample_gradients"
            values, _ = self.read(path)
            self.assertEqual(values.dtype, np.float16)
            np.testing.assert_allclose(values, rows, rtol=1e-3, atol=1e-7)
        with torch.no_grad():
            self.model[0].weight.zero_()
        with self.assertRaisesRegex(ExtractError, "beyond float16"):
            self.record(
                self.model,
                loader(VECTORS * 1e6),
                *record,
                name="large",
                derivative_dtype="float16",
            )


class SampleGradients(RecordCase):
    def setUp(self):
        super().setUp()
        self.model = nn.Sequential(nn.Linear(6, 3)).double()
        self.rows = hand_gradient(self.model, VECTORS, LABELS)

    def test_first_samples_one_by_one(self):
        with mock.patch.object(
            zoogram_gradients, "torch_func_gradients", lambda network: None
        ):
            self.check()

    @unittest.skipUnless(HAS_TORCH_FUNC, "torch.func came with PyTorch 2")
    def test_first_samples_by_torch_func(self):
        refuse = mock.patch.object(zoogram_gradients, "gradients_one_by_one", None)
        small = mock.patch.object(zoogram_gradients, "CHUNK_NUMBERS", 50)
        with refuse, small:
            self.check()

    @unittest.skipUnless(HAS_TORCH_FUNC, "torch.func came with PyTorch 2")
    def test_models_that_torch_func_cannot_follow(self):
        whole = self.model.forward
        self.model.forward = lambda x: whole(x) if float(x.sum()) > -1e9 else x
        self.check()

    def check(self):
        self.record(self.model, loader(VECTORS), "sample-gradients", gradient_samples=7)
        values, attributes = self.read("sample_gradients")
        np.testing.assert_allclose(values, self.rows[:7], rtol=1e-12, atol=1e-15)
        self.assertEqual(list(attributes["parameters"]), ["0.weight", "0.bias"])

    def test_their_mean_is_the_gradient_of_a_convolutional_network(self):
        model = nn.Sequential(
            nn.Conv2d(4, 6, 3),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 3),
        ).double()
        model(IMAGES.double())
        batches = loader(IMAGES.double())
        record = ("gradients", "sample-gradients")
        self.record(model, batches, *record, gradient_samples=10)
        rows, _ = self.read("sample_gradients")
        mean, _ = self.read("gradients/loss")
        np.testing.assert_allclose(rows.mean(0), mean, rtol=1e-10, atol=1e-14)

    def test_keyword_batches(self):
        batches = [{"input": VECTORS, "labels": LABELS}]
        self.record(self.model, batches, "sample-gradients")
        values, _ = self.read("sample_gradients")
        np.testing.assert_allclose(values, self.rows, rtol=1e-12, atol=1e-15)


class Quadratic(nn.Module):
    """Logits [b, 1]: (p - x)' D (p - x) / 2 with D diagonal."""

    def __init__(self, curvature):
        super().__init__()
        self.point = nn.Parameter(torch.zeros(6, dtype=torch.float64))
        self.curvature = curvature

    def forward(self, x):
        return ((self.point - x) ** 2 * self.curvature).sum(1, keepdim=True) / 2


def mean_output(logits, labels):
    return logits.mean()


class Sharpness(RecordCase):
    RADII = (0.05, 0.5)

    def sharpness(self, model, **settings):
        settings = dict(loss=mean_output, radii=self.RADII, **settings)
        self.record(model, loader(VECTORS), "sharpness", **settings)
        values, attributes = self.read("sharpness")
        self.assertEqual(attributes["radius"].tolist(), list(self.RADII))
        return values

    def test_linear_loss_rises_by_radius_times_gradient(self):
        model = nn.Sequential(nn.Linear(6, 1)).double()
        values = self.sharpness(model, sharpness_steps=3)
        self.assertEqual(values.shape, (2, 3))
        for column, rows in enumerate(VECTORS.split(4)):
            length = math.sqrt(float(rows.mean(0).square().sum()) + 1)  # and the bias
            expected = [radius * length for radius in self.RADII]
            np.testing.assert_allclose(values[:, column], expected, rtol=1e-12)

    def test_small_gradients_are_scaled_to_the_radius(self):
        model = nn.Sequential(nn.Linear(6, 1)).double()
        settings = dict(sharpness_steps=1, radii=[0.1], sharpness_batches=1)
        loss = lambda logits, labels: logits.mean() / 1000
        self.record(model, loader(VECTORS), "sharpness", loss=loss, **settings)
        length = math.sqrt(float(VECTORS[:4].mean(0).square().sum()) + 1) / 1000
        self.assertAlmostEqual(self.read("sharpness")[0][0, 0], 0.1 * length, places=12)

    def test_isotropic_quadratic_rises_along_the_gradient(self):
        values = self.sharpness(Quadratic(torch.full((6,), 3.0)), sharpness_batches=1)
        length = 3 * float(VECTORS[:4].mean(0).norm())
        expected = [length * r + 3 * r * r / 2 for r in self.RADII]
        np.testing.assert_allclose(values[:, 0], expected, rtol=1e-12)

    def test_anisotropic_quadratic_by_its_secular_equation(self):
        # max of g'e + e'De/2 on |e| = r: e = (t - D)^-1 g with t > max D and |e| = r
        curvature = torch.tensor([5.0, 1, 1, 0.5, 0.2, 0.1])
        values = self.sharpness(
            Quadratic(curvature), sharpness_batches=1, sharpness_steps=200
        )
        d = curvature.double().numpy()
        g = -d * VECTORS[:4].mean(0).numpy()
        for row, radius in enumerate(self.RADII):
            low, high = d.max(), d.max() + np.linalg.norm(g) / radius
            for _ in range(200):
                t = (low + high) / 2
                low, high = (
                    (t, high) if np.linalg.norm(g / (t - d)) > radius else (low, t)
                )
            e = g / (high - d)
            self.assertAlmostEqual(values[row, 0], g @ e + e @ (d * e) / 2, places=9)

    def test_flat_loss(self):
        model = nn.Sequential(nn.Linear(6, 1)).double()
        self.record(
            model,
            loader(VECTORS),
            "sharpness",
            loss=lambda logits, labels: (logits * 0).sum(),
        )
        self.assertTrue((self.read("sharpness")[0] == 0).all())


class Together(RecordCase):
    def test_several_records_and_activations_of_several_models(self):
        with ZooWriter(self.path, compact=True) as zoo:
            for name in ("a", "b"):
                model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
                record = ("weights", "logits", "gradients", "tangent", "sharpness")
                batches = loader(VECTORS.float())
                layers = extract(model, batches, zoo, name, record=record)
                self.assertEqual(layers, ["0", "1", "2"])
        with h5py.File(self.path, "r") as zoo:
            self.assertEqual(list(zoo["models"]), ["a", "b"])
            for model in zoo["models"].values():
                self.assertEqual(
                    set(model), {"activations", *record[:3], "ntk", "sharpness"}
                )
                self.assertEqual(model["ntk/0/input"].shape, (10, 6))
                self.assertEqual(model["gradients/loss"].dtype, np.float32)

    def test_counts_are_checked_against_logits_too(self):
        model = nn.Sequential(nn.Linear(6, 3)).double()
        self.record(model, VECTORS.split(4), "logits", name="first")
        with self.assertRaisesRegex(
            ExtractError, "model m: .* 9 samples.* first has 10"
        ):
            self.record(model, VECTORS.split(4), "logits", limit=9)

    def test_wishes_that_cannot_be_met(self):
        model = nn.Sequential(nn.Linear(6, 3)).double()
        unlabelled = VECTORS.split(4)
        beyond = [(VECTORS, LABELS + 1)]
        for words, batches, record, settings in (
            ("record 'weight': expected any of weights", None, ["weight"], {}),
            ("m: only weights .* without a loader", None, ["gradients"], {}),
            ("m: nothing to record", loader(VECTORS), [], {}),
            ("m: the batches have no labels", unlabelled, ["gradients"], {}),
            ("one task per class", unlabelled, ["gradients"], {"tasks": "class"}),
            ("m: the loss of logits .*10, 3.* fails", beyond, ["gradients"], {}),
            ("m: the loader gave no samples", [], ["sharpness"], {}),
            ("tasks 'all': expected one of", [], ["gradients"], {"tasks": "all"}),
            ("radii", [], ["sharpness"], {"radii": [0.1, -1]}),
            ("radii", [], ["sharpness"], {"radii": []}),
            ("gradient_samples 0", [], ["gradients"], {"gradient_samples": 0}),
            ("tangent_form 'x'", [], ["tangent"], {"tangent_form": "x"}),
            (
                "does not give one number",
                loader(VECTORS),
                ["gradients"],
                {"loss": lambda logits, labels: logits},
            ),
        ):
            with self.subTest(words), self.assertRaisesRegex(ExtractError, words):
                self.record(model, batches, *record, **settings)
            self.assertFalse(self.path.exists())

    def test_model_that_autograd_refuses(self):
        def forward(x):
            hidden = model[0](x).exp()
            result = model[1](hidden)
            hidden.mul_(2)  # which the derivatives by the weights need
            return result + hidden.sum(1, keepdim=True)

        model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3)).double()
        model.forward = forward
        for record in ("gradients", "tangent"):
            with self.assertRaisesRegex(ExtractError, "model m: .* inplace operation"):
                self.record(model, loader(VECTORS), record)

    def test_quantised_parameters_have_no_derivatives(self):
        model = nn.Sequential(nn.Linear(6, 3))
        model.codes = nn.Parameter(torch.ones(3, dtype=torch.int8), requires_grad=False)
        self.record(model, None, "weights")
        with self.assertRaisesRegex(ExtractError, "parameter codes: torch.int8"):
            self.record(model, loader(VECTORS.float()), "gradients", name="n")


NETS = """
import torch
from torch.utils.data import DataLoader, TensorDataset

def small():
    model = torch.nn.Sequential(torch.nn.Linear(6, 3))
    forward = model.forward
    model.forward = lambda x: (x, forward(x))
    return model

def data():
    torch.manual_seed(5)
    return DataLoader(TensorDataset(torch.randn(10, 6), torch.arange(10) % 3), batch_size=4)

def second(output):
    return output[1]

def squares(logits, labels):
    return logits.square().mean()
"""


class CommandLine(RecordCase):
    SCRIPT = "zoogram_extract.py"

    def setUp(self):
        super().setUp()
        (self.folder / "nets.py").write_text(NETS)

    def run_extract(self, *arguments):
        return self.run_script(
            self.SCRIPT, "--model", "nets:small", "--output", self.path, *arguments
        )

    def test_everything_with_its_options(self):
        run = self.run_extract(
            *("--data", "nets:data", "--layers", "0", "--to-logits", "nets:second"),
            *("--record", "weights", "logits", "gradients", "sample-gradients"),
            *("tangent", "jacobian", "sharpness", "--loss", "nets:squares"),
            *("--tasks", "batch", "--gradient-samples", 3, "--tangent-samples", 5),
            *("--tangent-classes", 2, 0, "--tangent-form", "factors"),
            *("--radii", 0.1, 0.2, "--sharpness-steps", 2, "--sharpness-batches", 2),
            *("--derivative-dtype", "float64"),
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        with h5py.File(self.path, "r") as zoo:
            model = zoo["models/small"]
            shapes = {}
            model.visititems(
                lambda name, item: shapes.update({name: getattr(item, "shape", None)})
            )
            self.assertEqual(
                {name: shape for name, shape in shapes.items() if shape},
                {
                    "activations/0": (10, 3),
                    "logits": (10, 3),
                    "weights/0.weight": (3, 6),
                    "weights/0.bias": (3,),
                    "gradients/batch0": (21,),
                    "gradients/batch1": (21,),
                    "gradients/batch2": (21,),
                    "sample_gradients": (3, 21),
                    "ntk/0/input": (5, 6),
                    "ntk/0/signal": (5, 2, 3),
                    "jacobian": (5, 2, 21),
                    "sharpness": (2, 2),
                },
            )
            self.assertEqual(model["jacobian"].dtype, np.float64)
            # of the last two samples' squares, averaged over three logits
            gradient = model["gradients/batch2"][:]
            last = model["logits"][8:].mean(0) * 2 / 3
            np.testing.assert_allclose(gradient[18:], last, rtol=1e-5)

    def test_weights_alone_need_no_data(self):
        run = self.run_extract("--layers", "--record", "weights")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.names("weights", "small"), ["0.weight", "0.bias"])
        refused = self.run_extract("--layers", "--record", "logits", "--append")
        self.assert_refused(refused, self.SCRIPT, "--data")

    def test_errors_are_one_line(self):
        arguments = ["--data", "nets:data", "--layers", "--record"]
        run = self.run_extract(*arguments, "tangent")  # of the wrong output
        self.assert_refused(run, self.SCRIPT, "model small", "any parameter")
        run = self.run_extract(*arguments, "logits", "--to-logits", "nets:nothing")
        self.assert_refused(run, self.SCRIPT, "nets:nothing")


if __name__ == "__main__":
    unittest.main()
