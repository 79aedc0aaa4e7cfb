"""What can be recorded of a model beside its activations, and how it is chosen."""

import math
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from zoogram_gradients import (
    TASKS,
    record_gradients,
    record_sample_gradients,
    record_sharpness,
)
from zoogram_hooks import evaluation
from zoogram_network import differentiable
from zoogram_tangent import FORMS, record_jacobian, record_tangent
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
)
OF_SINGLE_SAMPLES = {"sample-gradients", "tangent", "jacobian"}
DERIVATIVE_DTYPES = ("auto", "float16", "float32", "float64")


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

    def __post_init__(self):
        record = [self.record] if isinstance(self.record, str) else self.record
        object.__setattr__(self, "record", tuple(record))
        for name in self.record:
            _expect("record", name, name in RECORDS, f"any of {', '.join(RECORDS)}")
        if not isinstance(self.tasks, Mapping):
            choices = f"one of {', '.join(TASKS)} or a dictionary"
            _expect("tasks", self.tasks, self.tasks in TASKS, choices)
        for name, choices in (
            ("tangent_form", FORMS),
            ("derivative_dtype", DERIVATIVE_DTYPES),
        ):
            value = getattr(self, name)
            _expect(name, value, value in choices, f"one of {', '.join(choices)}")
        for name in (
            "gradient_samples",
            "tangent_samples",
            "sharpness_steps",
            "sharpness_batches",
        ):
            value = getattr(self, name)
            _expect(name, value, value > 0, "a positive number")
        good = len(self.radii) and all(0 < r < math.inf for r in self.radii)
        _expect("radii", list(self.radii), good, "positive numbers")

    @property
    def needs_loader(self):
        """Whether anything but weights is asked for."""
        return set(self.record) - {"weights"} != set()


def _expect(name, value, is_good, expected):
    if not is_good:
        raise ExtractError(f"{name} {value!r}: expected {expected}")


def record_beside(network, target, loader, settings, limit=None):
    """Write what the settings ask for, but for the logits, which come with the
    activations.

    network: zoogram_network.Network; target: zoogram_zoo.ModelWriter; loader: can be
    gone through repeatedly; limit: samples at most of gradients, None or 0 for all.
    """
    wanted, dtype = set(settings.record), settings.derivative_dtype
    if "weights" in wanted:
        with evaluation(network.model):
            record_weights(network, target, loader)
    if not wanted - {"weights", "logits"}:
        return
    samples = _count(settings.gradient_samples, limit)
    tangents = _count(settings.tangent_samples, limit), settings.tangent_classes
    ascent = settings.radii, settings.sharpness_steps, settings.sharpness_batches
    source = network, target, loader
    with differentiable(network.model), _autograd_errors(network):
        if wanted & OF_SINGLE_SAMPLES:
            network.refuse_dependence(loader)
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
