"""What can be recorded of a model beside its activations, and how it is chosen."""

import math
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from zoogram_attention import (
    CROSS_LAYERS,
    OVER,
    record_attention,
    record_cross_attention,
    record_head_importance,
)
from zoogram_gradients import (
    TASKS,
    record_gradients,
    record_sample_gradients,
    record_sharpness,
)
from zoogram_hooks import evaluation, inference
from zoogram_maps import METHODS, record_maps
from zoogram_margins import record_margin_gradients
from zoogram_network import differentiable
from zoogram_tangent import FORMS, record_jacobian, record_tangent
from zoogram_tracing import LABELS, SOURCES, record_graph
from zoogram_weights import record_weights
from zoogram_zoo import ExtractError

RECORDS = (
    "weights",
    "logits",
    "gradients",
    "sample-gradients",
    "tangent",
    "jacobian",
    "sharpness",
    "attention",
    "cross-attention",
    "head-importance",
    "margin-gradients",
    "maps",
    "graph",
)
WITHOUT_LOADER = {"weights", "graph"}
OF_SINGLE_SAMPLES = {"sample-gradients", "tangent", "jacobian", "head-importance"}
OF_SINGLE_SAMPLES |= {"margin-gradients"}
DIFFERENTIATED = OF_SINGLE_SAMPLES | {"gradients", "sharpness"}
DERIVATIVE_DTYPES = ("auto", "float16", "float32", "float64")
CHOICES = {
    "tangent_form": FORMS,
    "derivative_dtype": DERIVATIVE_DTYPES,
    "attention_dtype": DERIVATIVE_DTYPES,
    "cross_over": OVER,
    "map_method": METHODS,
    "map_dimensions": (2, 3),
    "graph_source": SOURCES,
    "graph_labels": LABELS,
}
POSITIVE = (
    "gradient_samples",
    "tangent_samples",
    "sharpness_steps",
    "sharpness_batches",
    "attention_samples",
    "map_perplexity",
    "margin_classes",
)
PATTERNS = ("attention_layers", "cross_layers", "map_layers")


@dataclass(frozen=True)
class RecordSettings:
    """What to record, and its settings; each is a keyword of extract().

    record            any of RECORDS.
    to_logits         function of the model's output that gives the logits [b, C];
                      default: the first tensor of the output.
    loss              function (logits, labels) -> mean loss; default: cross entropy.
    tasks             of the gradients: "loss", "class", "batch" or
                      {name: (loss or None, loader or batch)}.
    gradient_samples  m of sample_gradients.
    tangent_samples   m of tangent and jacobian.
    tangent_classes   indices of the logits that they take; default: all.
    tangent_form      "auto": a layer's product is recorded where it has fewer numbers
                      than the layer's factors; "factors": never.
    radii             of sharpness: Euclidean lengths of the change of all parameters.
    sharpness_steps   gradient steps of the ascent; sharpness_batches: the first so many.
    derivative_dtype  of gradients, sample gradients and tangents: float16, float32,
                      float64; "auto": the network's, half types as float32.
    attention_samples   m of attention and cross-attention.
    attention_layers    shell patterns over the modules that give attention maps, for
                        attention and head-importance; attention_dtype: as above.
    cross_layers      patterns for cross-attention; default: the usual names of such.
    cross_grid        (h, w); default: the square of all positions.
    cross_over        "keys" or "queries": which of the two has the grid.
    map_layers        patterns over recorded layers; map_method: tsne, pca, umap;
                      map_dimensions: 2, 3; map_perplexity; map_seed.
    margin_classes    number of classes next to the top one that margin-gradients takes.
    graph_source      "fx", the data flow; "modules", the tree of modules; "auto".
    graph_labels      "op", or "shape" for the operation with the shape of its result.
    """

    record: tuple = ()
    to_logits: object = None
    loss: object = None
    tasks: object = "loss"
    gradient_samples: int = 64
    tangent_samples: int = 64
    tangent_classes: object = None
    tangent_form: str = "auto"
    radii: tuple = (0.01, 0.05, 0.1)
    sharpness_steps: int = 10
    sharpness_batches: int = 4
    derivative_dtype: str = "auto"
    attention_samples: int = 64
    attention_layers: tuple = ("*",)
    attention_dtype: str = "auto"
    cross_layers: tuple = CROSS_LAYERS
    cross_grid: object = None
    cross_over: str = "keys"
    map_layers: tuple = ("*",)
    map_method: str = "tsne"
    map_dimensions: int = 2
    map_perplexity: float = 30.0
    map_seed: int = 0
    margin_classes: int = 3
    graph_source: str = "auto"
    graph_labels: str = "op"

    def __post_init__(self):
        for name in ("record", *PATTERNS):
            value = getattr(self, name)
            value = [value] if isinstance(value, str) else value
            object.__setattr__(self, name, tuple(value))
        for name in self.record:
            _expect("record", name, name in RECORDS, f"any of {', '.join(RECORDS)}")
        if not isinstance(self.tasks, Mapping):
            choices = f"one of {', '.join(TASKS)} or a dictionary"
            _expect("tasks", self.tasks, self.tasks in TASKS, choices)
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            expected = f"one of {', '.join(map(str, choices))}"
            _expect(name, value, value in choices, expected)
        for name in POSITIVE:
            value = getattr(self, name)
            _expect(name, value, value > 0, "a positive number")
        good = len(self.radii) and all(0 < r < math.inf for r in self.radii)
        _expect("radii", list(self.radii), good, "positive numbers")
        grid = self.cross_grid
        good = grid is None or (len(grid) == 2 and all(side > 0 for side in grid))
        _expect("cross_grid", grid, good, "a height and a width")

    @property
    def needs_loader(self):
        """Whether anything is asked for that only data can give."""
        return set(self.record) - WITHOUT_LOADER != set()

    @property
    def needs_logits(self):
        """Whether the logits are recorded; margins mean nothing without them."""
        return bool({"logits", "margin-gradients"}.intersection(self.record))


def _expect(name, value, is_good, expected):
    if not is_good:
        raise ExtractError(f"{name} {value!r}: expected {expected}")


def record_beside(network, target, loader, settings, limit=None):
    """Write what the settings ask for, but for the logits, which come with the
    activations.

    network: zoogram_network.Network; target: zoogram_zoo.ModelWriter; loader: can be
    gone through repeatedly; limit: samples at most of gradients, head importance and
    margin gradients, None or 0 for all.
    """
    wanted = set(settings.record)
    if "weights" in wanted:
        with evaluation(network.model):
            record_weights(network, target, loader)
    if "graph" in wanted:
        graph = settings.graph_source, settings.graph_labels
        record_graph(network, target, loader, *graph)
    if "maps" in wanted:
        _record_maps(target, settings)
    if wanted & {"attention", "cross-attention"}:
        with inference(network.model):
            _record_attention(network, target, loader, settings, limit)
    if wanted & DIFFERENTIATED:
        with differentiable(network.model), _autograd_errors(network):
            if wanted & OF_SINGLE_SAMPLES:
                network.refuse_dependence(loader)
            _record_derivatives(network, target, loader, settings, limit)


def _record_maps(target, settings):
    how = settings.map_method, settings.map_dimensions
    record_maps(
        target, settings.map_layers, *how, settings.map_perplexity, settings.map_seed
    )


def _record_attention(network, target, loader, settings, limit):
    samples = _count(settings.attention_samples, limit)
    source = network, target, loader, samples
    if "attention" in settings.record:
        record_attention(*source, settings.attention_layers, settings.attention_dtype)
    if "cross-attention" in settings.record:
        grid = settings.cross_grid, settings.cross_over
        record_cross_attention(*source, settings.cross_layers, *grid)


def _record_derivatives(network, target, loader, settings, limit):
    wanted, dtype = set(settings.record), settings.derivative_dtype
    samples = _count(settings.gradient_samples, limit)
    tangents = _count(settings.tangent_samples, limit), settings.tangent_classes
    ascent = settings.radii, settings.sharpness_steps, settings.sharpness_batches
    source = network, target, loader
    if "gradients" in wanted:
        record_gradients(*source, settings.tasks, limit, dtype)
    if "sample-gradients" in wanted:
        record_sample_gradients(*source, samples, dtype)
    if "tangent" in wanted:
        record_tangent(*source, *tangents, settings.tangent_form, dtype)
    if "jacobian" in wanted:
        record_jacobian(*source, *tangents, dtype)
    if "sharpness" in wanted:
        record_sharpness(*source, *ascent)
    if "head-importance" in wanted:
        record_head_importance(*source, settings.attention_layers, limit)
    if "margin-gradients" in wanted:
        record_margin_gradients(*source, settings.margin_classes, limit)


@contextmanager
def _autograd_errors(network):
    """What PyTorch says of a model that it cannot run or differentiate, as an error of
    ours."""
    try:
        yield
    except RuntimeError as error:
        first_line = str(error).partition("\n")[0]
        raise ExtractError(
            f"model {network.name}: its derivatives cannot be taken: {first_line}"
        ) from error


def _count(samples, limit):
    return min(samples, limit) if limit else samples
