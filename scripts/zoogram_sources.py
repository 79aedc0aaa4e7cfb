"""Where the command line of zoogram_extract.py takes models and data from."""

import importlib
import os
import pickle
import sys
from pathlib import Path

import torch

from zoogram_zoo import ExtractError

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tiff", ".webp"}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def named(text):
    """ "NAME=VALUE" or "VALUE" -> (NAME or None, VALUE)."""
    name, separator, value = text.partition("=")
    return (name, value) if separator else (None, text)


def load_factory(text):
    """Import "package.module:attribute", also from the working directory."""
    module, separator, attribute = text.partition(":")
    if not separator:
        raise ExtractError(f"{text!r}: expected package.module:factory")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ExtractError(f"{text}: cannot be imported: {error}") from None


def factory_model(text):
    made = load_factory(text)
    model = made if isinstance(made, torch.nn.Module) else made()
    if not isinstance(model, torch.nn.Module):
        raise ExtractError(
            f"{text}: gave a {type(model).__name__}, not a torch.nn.Module"
        )
    return model


def torchvision_model(name, weights):
    """weights: none | default | path of a state dict."""
    try:
        from torchvision.models import get_model
    except ImportError as error:
        raise ExtractError(
            f"--torchvision needs torchvision 0.14 or newer: {error}"
        ) from None
    try:
        model = get_model(name, weights="DEFAULT" if weights == "default" else None)
        if weights not in ("none", "default"):
            model.load_state_dict(
                torch.load(weights, map_location="cpu", weights_only=True)
            )
    except (
        ValueError,
        KeyError,
        OSError,
        RuntimeError,
        pickle.UnpicklingError,
    ) as error:
        raise ExtractError(
            f"torchvision model {name}, weights {weights}: {error}"
        ) from None
    return model


class RandomImages(torch.utils.data.Dataset):
    """Normal noise [3, size, size] that depends on the index alone; no labels."""

    def __init__(self, count, size):
        self._count, self._size = count, size

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        image = torch.randn(3, self._size, self._size, generator=generator)
        return image, None, index


class ImageFolder(torch.utils.data.Dataset):
    """Image files below a folder in the order of their paths, prepared as for ImageNet.

    The label counts the subfolders (0 where the files lie in the folder itself), the
    sample's id is the path relative to the folder.
    """

    def __init__(self, folder, size):
        from torchvision import transforms

        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise ExtractError(f"{folder}: is not a folder")
        self._paths = sorted(
            path
            for path in self._folder.rglob("*")
            if path.suffix.lower() in IMAGE_SUFFIXES
        )
        if not self._paths:
            raise ExtractError(f"{folder}: has no image files")
        classes = sorted(
            {path.relative_to(self._folder).parts[:-1] for path in self._paths}
        )
        self._labels = {parts: label for label, parts in enumerate(classes)}
        self._transform = transforms.Compose(
            [
                transforms.Resize(round(size * 256 / 224)),
                transforms.CenterCrop(size),
                transforms.ToTensor(),
                transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, index):
        from PIL import Image

        path = self._paths[index].relative_to(self._folder)
        with Image.open(self._paths[index]) as image:
            return (
                self._transform(image.convert("RGB")),
                self._labels[path.parts[:-1]],
                str(path),
            )


def image_loader(source, size, batch_size):
    kind, _, count = source.partition(":")
    if kind == "random" and count.isdigit() and int(count) > 0:
        images = RandomImages(int(count), size)
    else:
        images = ImageFolder(source, size)
    return torch.utils.data.DataLoader(images, batch_size, collate_fn=_collate_images)


def _collate_images(samples):
    """[(image, label or None, id)] -> (images [b, 3, h, w], labels or None, ids)."""
    images, labels, ids = zip(*samples)
    return torch.stack(images), None if labels[0] is None else labels, ids
