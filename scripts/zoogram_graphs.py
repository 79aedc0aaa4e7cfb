"""Graphs of networks: what a zoo keeps of one, and reading them from GraphML and ONNX."""

from dataclasses import dataclass, field
from xml.etree import ElementTree

import h5py
import numpy as np

from zoogram_zoo import ExtractError

OPERATION_KEYS = (
    "op",
    "op_type",
    "type",
    "label",
)  # of GraphML, in order of preference


@dataclass
class Graph:
    """Operations and the data flow between them."""

    ops: list = field(default_factory=list)  # what each node does
    names: list = field(default_factory=list)  # of the nodes
    shapes: list = field(default_factory=list)  # "8x4x4" of what each gives, "" unknown
    edges: list = field(default_factory=list)  # (node that gives, node that takes)

    def add(self, op, name="", shape=""):
        """Append a node; gives its number."""
        self.ops.append(op)
        self.names.append(name)
        self.shapes.append(shape)
        return len(self.ops) - 1

    def connect(self, source, target):
        """Append an edge between two nodes, unless it is there."""
        if (source, target) not in self.edges:
            self.edges.append((source, target))


def write_graph(target, graph, attributes=None):
    """Write graph/{op, edge}, and name and shape of the nodes beside them.

    target: zoogram_zoo.ModelWriter.
    """
    if not graph.ops:
        raise ExtractError(f"model {target.name}: its graph has no nodes")
    text = h5py.string_dtype()
    target.write("graph/op", np.asarray(graph.ops, object), dtype=text)
    target.write("graph/edge", np.asarray(graph.edges, np.int64).reshape(-1, 2))
    for name, values in (("name", graph.names), ("shape", graph.shapes)):
        if any(values):
            target.write(f"graph/{name}", np.asarray(values, object), dtype=text)
    target.set_attributes("graph", attributes or {})


def shape_text(shape):
    """[8, 4, 4] -> "8x4x4"."""
    return "x".join(map(str, shape))


def read_graphml(path):
    """The Graph of a GraphML file.

    A node's op is its data under the key whose attr.name is the first of OPERATION_KEYS
    that any node has; without one its id.  Nested graphs are read as one.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ExtractError(f"{path}: cannot be read as GraphML: {error}") from None
    entries = list(root.iter())
    keys = {e.get("id"): e.get("attr.name") for e in entries if _tag(e) == "key"}
    nodes = {}
    for entry in entries:
        if _tag(entry) == "node":
            data = [child for child in entry if _tag(child) == "data"]
            values = {
                keys.get(d.get("key"), d.get("key")): "".join(d.itertext()).strip()
                for d in data
            }
            nodes[entry.get("id")] = values
    used = [k for k in OPERATION_KEYS if any(k in values for values in nodes.values())]
    graph, numbers = Graph(), {}
    for node, values in nodes.items():
        op = values.get(used[0]) if used else node
        if not op:
            raise ExtractError(f"{path}: node {node} has no {used[0]}")
        numbers[node] = graph.add(op, values.get("name", node), values.get("shape", ""))
    for entry in entries:
        if _tag(entry) == "edge":
            ends = [entry.get("source"), entry.get("target")]
            for end in ends:
                if end not in numbers:
                    raise ExtractError(f"{path}: an edge has no node {end}")
            graph.connect(*(numbers[end] for end in ends))
    return graph


def _tag(entry):
    return entry.tag.rpartition("}")[2] if isinstance(entry.tag, str) else ""


def read_onnx(path):
    """The Graph of an ONNX model: its operators, with `input` and `output` nodes for
    what enters and leaves; weights are no nodes.  Shapes are those that the file or
    ONNX's own inference tells, without the first axis."""
    try:
        import onnx
    except ImportError as error:
        raise ExtractError(
            f"{path}: reading ONNX needs the package onnx: {error}"
        ) from None
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's, which is not ours to import
        raise ExtractError(f"{path}: cannot be read as ONNX: {error}") from None
    try:
        model = onnx.shape_inference.infer_shapes(model)
    except Exception:  # shapes are an extra
        pass
    return _onnx_graph(model.graph)


def _onnx_graph(model):
    shapes = {
        value.name: _onnx_shape(value)
        for value in (*model.input, *model.value_info, *model.output)
    }
    weights = {value.name for value in model.initializer}
    graph, makers = Graph(), {}
    for value in model.input:
        if value.name not in weights:
            name = value.name
            makers[name] = graph.add("input", name, shapes.get(name, ""))
    for node in model.node:  # ONNX demands topological order
        shape = next((shapes[name] for name in node.output if name in shapes), "")
        number = graph.add(node.op_type, node.name, shape)
        for name in node.input:
            if name in makers:
                graph.connect(makers[name], number)
        makers.update((name, number) for name in node.output if name)
    for value in model.output:
        number = graph.add("output", value.name, shapes.get(value.name, ""))
        if value.name in makers:
            graph.connect(makers[value.name], number)
    return graph


def _onnx_shape(value):
    extents = value.type.tensor_type.shape.dim
    return shape_text([d.dim_value or d.dim_param or "?" for d in extents][1:])
