"""Graphs of networks: data flow by torch.fx, the tree of modules, GraphML and ONNX."""

import unittest
import warnings

import h5py
import torch
from torch import nn
from torch.nn import functional

from support import FolderCase
import make_digits_zoo
from zoogram_extract import ExtractError, extract
from zoogram_graphs import read_graphml, read_onnx

try:
    import onnx
except ImportError:
    onnx = None
try:
    import networkx
except ImportError:
    networkx = None


class Residual(nn.Module):
    """Every kind of node: modules, functions, methods, a parameter, an argument that is
    not given, and an operation that leads nowhere."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.shift = nn.Parameter(torch.zeros(4, 1, 1))
        self.head = nn.Linear(4, 3)

    def forward(self, x, mask=None, scale=2):
        maps = self.conv(x)
        if mask is not None:
            maps = maps * mask
        unused = torch.exp(maps)
        maps = functional.relu(maps + self.shift) + maps
        return self.head((scale * maps).mean((2, 3)))


class Branching(nn.Module):
    """Cannot be traced through."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) if x.sum() > 0 else x


def edges_by_name(graph):
    names = [name.decode() for name in graph["name"]]
    return {(names[a], names[b]) for a, b in graph["edge"]}


class Graphs(FolderCase):
    def record(self, model, batches, **settings):
        """The model's graph in the zoo."""
        path = self.folder / "zoo.h5"
        extract(model, batches, path, "m", (), record="graph", **settings)
        zoo = h5py.File(path)
        self.addCleanup(zoo.close)
        return zoo["models/m/graph"]

    def texts(self, graph, name):
        return [text.decode() for text in graph[name]]

    def test_data_flow_by_hand(self):
        graph = self.record(Residual(), [torch.zeros(5, 1, 6, 7)])
        expected = {
            "x": ("input", "1x6x7"),
            "conv": ("Conv2d", "4x6x7"),
            "shift": ("parameter", "4x1x1"),
            "add": ("add", "4x6x7"),
            "relu": ("relu", "4x6x7"),
            "add_1": ("add", "4x6x7"),
            "mul": ("mul", "4x6x7"),
            "mean": ("mean", "4"),
            "head": ("Linear", "3"),
            "output": ("output", "3"),
        }
        columns = (self.texts(graph, name) for name in ("op", "shape"))
        self.assertEqual(dict(zip(self.texts(graph, "name"), zip(*columns))), expected)
        chain = ["x", "conv", "add", "relu", "add_1", "mul", "mean", "head", "output"]
        edges = {*zip(chain, chain[1:]), ("shift", "add"), ("conv", "add_1")}
        self.assertEqual(edges_by_name(graph), edges)
        self.assertEqual(graph.attrs["source"], "fx")

    def test_labels_with_shapes_and_no_loader(self):
        model = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
        graph = self.record(model, [torch.zeros(3, 4)], graph_labels="shape")
        self.assertEqual(
            self.texts(graph, "op"), ["input:4", "Linear:6", "ReLU:6", "output:6"]
        )
        (self.folder / "zoo.h5").unlink()
        graph = self.record(model, None)
        self.assertEqual(self.texts(graph, "op"), ["input", "Linear", "ReLU", "output"])
        self.assertNotIn("shape", graph)
        self.assertEqual(graph["edge"][:].tolist(), [[0, 1], [1, 2], [2, 3]])

    def test_part_that_cannot_be_traced_is_a_node(self):
        model = nn.Sequential(nn.Linear(4, 4), Branching(), nn.Linear(4, 2))
        graph = self.record(model, [torch.zeros(3, 4)])
        self.assertEqual(
            self.texts(graph, "op"),
            ["input", "Linear", "Branching", "Linear", "output"],
        )
        self.assertEqual(self.texts(graph, "shape"), ["4", "4", "4", "2", "2"])

    def test_model_that_cannot_be_traced_gives_its_tree(self):
        with self.assertWarnsRegex(UserWarning, "model m: torch.fx cannot .* the tree"):
            graph = self.record(Branching(), [torch.zeros(3, 4)])
        self.assertEqual(self.texts(graph, "op"), ["Branching", "Linear"])
        self.assertEqual(graph["edge"][:].tolist(), [[0, 1]])
        self.assertEqual(graph.attrs["source"], "modules")
        with self.assertRaisesRegex(ExtractError, "model m: torch.fx cannot trace"):
            extract(
                Branching(),
                [torch.zeros(3, 4)],
                self.folder / "other.h5",
                "m",
                (),
                record="graph",
                graph_source="fx",
            )

    def test_module_without_parts_has_no_edges(self):
        graph = self.record(nn.Linear(2, 3), None, graph_source="modules")
        self.assertEqual(graph["edge"].shape, (0, 2))

    def test_vision_transformer_of_the_digits(self):
        images = [torch.zeros(2, 1, 8, 8)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            graph = self.record(make_digits_zoo.VisionTransformer(), images)
        ops = self.texts(graph, "op")
        self.assertEqual(ops.count("TransformerEncoderLayer"), 4)
        self.assertEqual(ops[:2], ["input", "Embedding"], "it asks for a length")
        shapes = dict(zip(self.texts(graph, "name"), self.texts(graph, "shape")))
        self.assertEqual((shapes["block4"], shapes["head"]), ("5x24", "10"))

    def test_encoder_with_keyword_arguments(self):
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        model = Keywords(layer)
        tokens, padding = torch.zeros(2, 5, 8), torch.zeros(2, 5, dtype=torch.bool)
        graph = self.record(model, [{"tokens": tokens, "padding": padding}])
        self.assertEqual(
            self.texts(graph, "op"),
            ["input", "input", "TransformerEncoderLayer", "output"],
        )
        self.assertEqual(graph["edge"][:].tolist(), [[0, 2], [1, 2], [2, 3]])


class Keywords(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, tokens, padding=None):
        return self.layer(tokens, src_key_padding_mask=padding)


GRAPHML = """<?xml version="1.0"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="d0" for="node" attr.name="op" attr.type="string"/>
  <graph edgedefault="directed">
    <node id="a"><data key="d0">input</data></node>
    <node id="b"><data key="d0">conv</data></node>
    <node id="c"><data key="d0">conv</data></node>
    <edge source="a" target="b"/><edge source="b" target="c"/>
    <edge source="a" target="c"/><edge source="a" target="c"/>
  </graph>
</graphml>
"""


class Files(FolderCase):
    def test_graphml(self):
        path = self.folder / "net.graphml"
        path.write_text(GRAPHML)
        graph = read_graphml(path)
        self.assertEqual(graph.ops, ["input", "conv", "conv"])
        self.assertEqual(graph.edges, [(0, 1), (1, 2), (0, 2)])
        path.write_text(GRAPHML.replace('attr.name="op"', 'attr.name="colour"'))
        self.assertEqual(read_graphml(path).ops, ["a", "b", "c"])

    def test_graphml_that_is_wrong(self):
        path = self.folder / "net.graphml"
        for text, words in (
            ("<graphml>", "cannot be read"),
            (GRAPHML.replace('target="c"', 'target="z"'), "no node z"),
            (GRAPHML.replace(">input<", "><"), "node a has no op"),
        ):
            path.write_text(text)
            with self.assertRaisesRegex(ExtractError, f"net.graphml: .*{words}"):
                read_graphml(path)

    @unittest.skipUnless(networkx, "networkx is not installed")
    def test_graphml_as_networkx_writes_it(self):
        path = self.folder / "net.graphml"
        given = networkx.DiGraph()
        for node, op in enumerate(("input", "Linear", "ReLU")):
            given.add_node(node, op=op, width=3.5)
        given.add_edges_from([(0, 1), (1, 2)])
        networkx.write_graphml(given, path)
        graph = read_graphml(path)
        self.assertEqual(
            (graph.ops, graph.edges), (["input", "Linear", "ReLU"], [(0, 1), (1, 2)])
        )

    @unittest.skipUnless(onnx, "onnx is not installed")
    def test_onnx(self):
        helper, real = onnx.helper, onnx.TensorProto.FLOAT
        weight = helper.make_tensor("w", real, [4, 4], [0.0] * 16)
        model = helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "w"], ["h"], "product"),
                helper.make_node("Relu", ["h"], ["r"], "relu"),
                helper.make_node("Add", ["r", "x"], ["y"], "sum"),
            ],
            "net",
            [helper.make_tensor_value_info("x", real, ["n", 4])],
            [helper.make_tensor_value_info("y", real, ["n", 4])],
            [weight],
        )
        path = self.folder / "net.onnx"
        onnx.save(helper.make_model(model), str(path))
        graph = read_onnx(path)
        self.assertEqual(graph.ops, ["input", "MatMul", "Relu", "Add", "output"])
        self.assertEqual(set(graph.edges), {(0, 1), (1, 2), (2, 3), (0, 3), (3, 4)})
        self.assertEqual(graph.shapes, ["4"] * 5)
        path.write_bytes(b"nonsense")
        with self.assertRaisesRegex(ExtractError, "net.onnx: cannot be read as ONNX"):
            read_onnx(path)

    @unittest.skipIf(onnx, "onnx is installed")
    def test_onnx_that_is_not_installed(self):
        with self.assertRaisesRegex(ExtractError, "net.onnx: .*package onnx"):
            read_onnx("net.onnx")


if __name__ == "__main__":
    unittest.main()
