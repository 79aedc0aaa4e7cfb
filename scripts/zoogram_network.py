"""A PyTorch model as a function of all its parameters: logits, loss, gradients."""

from contextlib import contextmanager

import numpy as np
import torch

from zoogram_batches import first_tensor, split_batch
from zoogram_hooks import evaluation
from zoogram_zoo import ExtractError

# Share of the largest logit by which batches of another size may change a logit.
DEPENDENCE = {torch.float64: 1e-8, torch.float32: 1e-3}
HALF_DEPENDENCE = 0.1


class Network:
    """A model, what its logits are and what its loss is.

    name       of the model, for messages.
    to_logits  function of the model's output that gives the logits [b, C]; None: the
               first tensor of the output.
    loss       function (logits [b, C], labels) -> the mean loss of the samples.

    Every parameter counts, whether or not its requires_grad is set; one that several
    modules share counts once, under its first name.  Methods that need gradients work
    within differentiable() only.
    """

    def __init__(self, name, model, device, to_logits=None, loss=None):
        self.name = name
        self.model = model
        self.device = device
        self.parameters = dict(model.named_parameters())
        self._to_logits = to_logits or first_tensor
        self._loss = loss or torch.nn.functional.cross_entropy

    def __call__(self, batch):
        """The model's output for a batch on the device."""
        return self.model(*batch.inputs, **batch.keywords)

    def logits(self, batch):
        """Logits [b, C] of a batch on the device."""
        return self.logits_of(self(batch), batch.size)

    def logits_of(self, output, size):
        """Logits [size, C] of the model's output for so many samples."""
        logits = self._to_logits(output)
        is_tensor = isinstance(logits, torch.Tensor)
        if is_tensor and logits.ndim == 2 and len(logits) == size:
            return logits
        shape = f"of shape {list(logits.shape)}" if is_tensor else "no tensor"
        raise ExtractError(
            f"model {self.name}: the logits of {size} samples are {shape}, not [samples, "
            "classes]; give a function that takes them from the model's output "
            "(to_logits, --to-logits)"
        )

    def loss(self, batch, loss=None):
        """Mean loss of a batch; loss: another function than the network's own."""
        return self.compare(self.logits(batch), self.labels(batch), loss)

    def sample_losses(self, batch):
        """Losses [b] of a batch's samples, each by itself, from one pass."""
        logits, labels = self.logits(batch), self.labels(batch)
        rows = range(batch.size)
        return torch.stack(
            [self.compare(logits[r : r + 1], labels[r : r + 1]) for r in rows]
        )

    def labels(self, batch):
        """The batch's labels as a tensor on the device."""
        if batch.labels is None:
            raise ExtractError(
                f"model {self.name}: the batches have no labels, which the loss needs"
            )
        return torch.as_tensor(batch.labels, device=self.device)

    def compare(self, logits, labels, loss=None):
        """The loss, one number, of logits [b, C] and labels."""
        try:
            value = (loss or self._loss)(logits, labels)
        except (IndexError, RuntimeError, ValueError, TypeError) as error:
            raise ExtractError(
                f"model {self.name}: the loss of logits {list(logits.shape)} and labels "
                f"{list(labels.shape)} fails: {error}"
            ) from None
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            raise ExtractError(f"model {self.name}: the loss does not give one number")
        return value.reshape(())

    def gradient(self, value, retain=False):
        """Derivative of a number by the flattened parameters, [p] in their order."""
        parameters = list(self.parameters.values())
        if not value.requires_grad:
            raise ExtractError(
                f"model {self.name}: the output does not depend on any parameter in a "
                "way that PyTorch can differentiate"
            )
        parts = torch.autograd.grad(
            value, parameters, retain_graph=retain, allow_unused=True
        )
        return torch.cat(
            [
                dense(part if part is not None else torch.zeros_like(parameter))
                for part, parameter in zip(parts, parameters)
            ]
        )

    def batches(self, loader, limit=None):
        """Batches on the device, of the first `limit` samples (None or 0: all)."""
        seen = 0
        for given in loader:
            batch = split_batch(given)
            if not batch.size:
                raise ExtractError(f"model {self.name}: a batch has no input tensor")
            take = min(batch.size, limit - seen) if limit else batch.size
            seen += take
            batch = batch.moved(self.device)
            yield batch if take == batch.size else batch.select(list(range(take)))
            if limit and seen >= limit:
                return
        if not seen:
            raise ExtractError(f"model {self.name}: the loader gave no samples")

    def refuse_dependence(self, loader):
        """An error if a sample's logits depend on the other samples of its batch."""
        for layer, module in self.model.named_modules():
            is_norm = isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
            if is_norm and module.running_mean is None:
                raise ExtractError(
                    f"model {self.name}, layer {layer}: takes its statistics from the "
                    "batch (track_running_stats=False), so that one sample by itself "
                    "has no derivatives"
                )
        pair = next(self.batches(loader, 2))
        if pair.size < 2:
            return
        with torch.no_grad():
            together = self.logits(pair)[0]
            alone = self.logits(pair.select([0]))[0]
        difference = (together.double() - alone.double()).abs().max()
        share = DEPENDENCE.get(alone.dtype, HALF_DEPENDENCE)
        if difference > share * alone.double().abs().max():
            raise ExtractError(
                f"model {self.name}: the logits of the first sample change when another "
                "one shares its batch; derivatives of single samples have no meaning"
            )

    def singles(self, loader, limit=None):
        """Batches of one sample each."""
        for batch in self.batches(loader, limit):
            for row in range(batch.size):
                yield batch.select([row])


def dense(gradient):
    """A parameter's gradient as a vector without history."""
    gradient = gradient.detach()
    return (gradient.to_dense() if gradient.is_sparse else gradient).reshape(-1)


def stored(tensor):
    """The tensor as a numpy array of its own type; bfloat16 becomes float32."""
    values = tensor.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def derivatives(tensor):
    """Derivatives as a numpy array of float32 or float64, as the network computes."""
    values = stored(tensor)
    return values if values.dtype == np.float64 else values.astype(np.float32)


def rounded(values, dtype):
    """The array in a dtype by name, "auto" for its own."""
    if dtype == "auto":
        return values
    largest = np.abs(values).max(initial=0, where=np.isfinite(values))
    if largest > np.finfo(dtype).max:
        raise ExtractError(
            f"a derivative of {largest:g} is beyond {dtype}'s largest number "
            f"({np.finfo(dtype).max:g})"
        )
    return values.astype(dtype)


@contextmanager
def substituted(owner, **attributes):
    """Attributes of a module or an object replaced; restored as they were before."""
    before = {name: vars(owner)[name] for name in attributes if name in vars(owner)}
    try:
        for name, value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for name in attributes:
            if name in before:
                setattr(owner, name, before[name])
            elif name in vars(owner):
                delattr(owner, name)


@contextmanager
def differentiable(model):
    """Evaluation mode, gradients of all parameters, full precision; all restored."""
    flags = {parameter: parameter.requires_grad for parameter in model.parameters()}
    for name, parameter in model.named_parameters():
        if not parameter.is_floating_point():
            raise ExtractError(
                f"parameter {name}: {parameter.dtype} has no derivatives; the weights "
                "of quantised models can be recorded, but nothing that needs gradients"
            )
    try:
        for parameter in flags:
            parameter.requires_grad_(True)
        with evaluation(model), torch.enable_grad(), _full_precision():
            yield
    finally:
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)


@contextmanager
def _full_precision():
    """No TensorFloat-32: it keeps three digits of products in float32."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
