"""The graph of a PyTorch model, by torch.fx, or the tree of its modules.

How.  torch.fx runs forward() on symbols.  Modules of torch.nn are nodes; others are
traced through, and one that cannot be (it branches on numbers, or asks for a length) is
a node too.  Where forward() of the model itself cannot be traced, the tree of its
modules stands in: module to submodule.
"""

import inspect
import warnings

import torch
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp

from zoogram_graphs import Graph, shape_text, write_graph
from zoogram_hooks import inference
from zoogram_zoo import ExtractError

SOURCES = ("auto", "fx", "modules")
LABELS = ("op", "shape")


def record_graph(network, target, loader, source="auto", labels="op"):
    """Write graph/{op, edge, name, shape}.

    source: "fx", the data flow; "modules", the tree; "auto", the tree with a warning
    where there is no data flow to be had.  labels: "op", the kind of module or the
    function's name; "shape", with the shape of what it gives, "Linear:64".  loader: the
    shapes are those of its first two samples, less that axis; None: no shapes.
    """
    sample = None if loader is None else next(network.batches(loader, 2))
    if labels == "shape" and sample is None:
        raise ExtractError(
            f"model {network.name}: the graph's shapes need a loader to be traced"
        )
    graph, used = None, source
    if source != "modules":
        graph, used = _flow_or_none(network, sample, source), "fx"
    if graph is None:
        graph, used = module_tree(network.model), "modules"
    if labels == "shape":
        pairs = zip(graph.ops, graph.shapes)
        graph.ops = [f"{op}:{shape}" if shape else op for op, shape in pairs]
    write_graph(target, graph, {"source": used, "labels": labels})


def _flow_or_none(network, sample, source):
    """The data flow; None with a warning if it cannot be had and may be replaced."""
    try:
        return data_flow(network.model, sample)
    except ExtractError as error:
        message = f"model {network.name}: {error}"
    if source == "fx":
        raise ExtractError(message)
    warnings.warn(f"{message}; the tree of its modules is recorded instead")
    return None


def data_flow(model, sample=None):
    """The Graph of a model by torch.fx, in the order of its operations.

    sample: a zoogram_batches.Batch whose inputs say which arguments forward() gets, and
    whose shapes are traced; None: the arguments without a default.  What does not
    reach the output is left out.  Raises ExtractError where forward() cannot be traced.
    """
    given = _arguments(model, sample)
    with inference(model):
        traced = _traced(model, {k: v for k, (v, fixed) in given.items() if fixed})
        if sample is not None:
            _propagate(model, traced, [value for value, _ in given.values()])
    graph, numbers = Graph(), {}
    for node in _reaching_output(traced):
        shape = _shape(node, sample)
        numbers[node] = graph.add(_operation(model, node), str(node.name), shape)
        for source in node.all_input_nodes:
            graph.connect(numbers[source], numbers[node])
    return graph


def module_tree(model):
    """The Graph of a model's modules, an edge from each to every one that it holds."""
    graph, numbers = Graph(), {}
    for name, module in model.named_modules():
        numbers[name] = graph.add(type(module).__name__, name)
        if name:
            graph.connect(numbers[name.rpartition(".")[0]], numbers[name])
    return graph


class _Tracer(fx.Tracer):
    """Traces through modules, but for torch.nn's and `opaque` ones, by name."""

    def __init__(self, opaque):
        super().__init__()
        self._opaque = opaque
        self.failed = None  # innermost module that could not be traced through

    def is_leaf_module(self, module, name):
        return name in self._opaque or super().is_leaf_module(module, name)

    def call_module(self, module, *rest):
        try:
            return super().call_module(module, *rest)
        except Exception:
            self.failed = self.failed or self.path_of_module(module)
            raise


def _traced(model, constants):
    """fx's graph; modules that cannot be traced through are nodes of it."""
    opaque = set()
    while True:
        tracer = _Tracer(opaque)
        try:
            return tracer.trace(model, constants or None)
        except Exception as error:  # whatever foreign code says of a symbol
            if tracer.failed is None or tracer.failed in opaque:
                first_line = str(error).partition("\n")[0]
                raise ExtractError(
                    f"torch.fx cannot trace its forward(): {first_line}"
                ) from error
            opaque.add(tracer.failed)


def _arguments(model, sample):
    """{argument of forward(): (value, whether it is fixed, not a symbol)}."""
    parameters = inspect.signature(model.forward).parameters.values()
    usual = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    names = [p.name for p in parameters if p.kind in usual]
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    values = {}
    if sample is not None:
        values = {**dict(zip(names, sample.inputs)), **sample.keywords}
    return {
        name: (
            (values.get(name, defaults.get(name)), name not in values)
            if name in values or name in defaults
            else (None, False)
        )
        for name in names
    }


def _propagate(model, graph, values):
    """Note the shapes of what a sample makes of each node; shapes are an extra."""
    try:
        ShapeProp(fx.GraphModule(model, graph)).propagate(*values)
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        warnings.warn(f"the shapes of the graph cannot be traced: {first_line}")


def _reaching_output(graph):
    """The nodes that the output depends on, in their order."""
    needed = set()
    for node in reversed(list(graph.nodes)):
        if node.op == "output" or any(user in needed for user in node.users):
            needed.add(node)
    return [node for node in graph.nodes if node in needed]


def _operation(model, node):
    """What a node does: the class of a module, the name of a function or method."""
    if node.op == "call_module":
        return type(model.get_submodule(node.target)).__name__
    if node.op == "call_function":
        return getattr(node.target, "__name__", str(node.target))
    if node.op == "call_method":
        return node.target
    return {"placeholder": "input", "get_attr": "parameter"}.get(node.op, node.op)


def _shape(node, sample):
    """The shape of what a node gives, without the axis of the samples."""
    meta = node.meta.get("tensor_meta")
    shape = getattr(meta, "shape", None)
    if shape is None:
        return ""
    has_samples = len(shape) > 0 and shape[0] == sample.size
    return shape_text(shape[1:] if has_samples and node.op != "get_attr" else shape)
