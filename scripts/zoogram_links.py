"""Arrays of existing HDF5 files as a zoo's own, without copying: external links, and
virtual datasets where a part is taken or several files are joined."""

import os
import re
from dataclasses import dataclass
from glob import glob

import h5py
import numpy as np

from zoogram_files import natural
from zoogram_zoo import ExtractError


@dataclass(frozen=True)
class Link:
    """A dataset of one file or, joined along its first axis, of several."""

    files: tuple  # paths
    entry: str  # of the dataset in each
    index: tuple = ()  # integers: of its leading axes


def parse_links(text):
    """ "FILE:/ENTRY[INDEX]" -> {name: Link}.

    FILE may be a pattern, of which the files in natural order are joined; ENTRY a group,
    of which every dataset is linked; INDEX one or more integers.
    """
    match = re.fullmatch(r"(.+?):(/[^\[\]]*)(?:\[([\d, ]+)\])?", text)
    if not match:
        raise ExtractError(f"{text!r}: expected FILE:/ENTRY or FILE:/ENTRY[INDEX]")
    pattern, entry, index = match.groups()
    files = tuple(sorted(glob(pattern), key=natural))
    if not files:
        raise ExtractError(f"{pattern}: no such file")
    index = tuple(int(part) for part in index.split(",")) if index else ()
    with _opened(files[0]) as file:
        found = _entry(file, files[0], entry)
        if isinstance(found, h5py.Dataset):
            return {entry.rpartition("/")[2]: Link(files, entry, index)}
        inside = [name for name in found if isinstance(found[name], h5py.Dataset)]
    if not inside:
        raise ExtractError(f"{files[0]}: {entry}: has no datasets")
    prefix = entry.rstrip("/")
    return {name: Link(files, f"{prefix}/{name}", index) for name in inside}


def make_link(group, name, link):
    """Make group[name], of an open h5py.Group, what the link says; paths are kept
    relative to the zoo's folder, so that all can be moved together."""
    folder = os.path.dirname(os.path.abspath(group.file.filename))
    paths = [os.path.relpath(path, folder) for path in link.files]
    if len(paths) == 1 and not link.index:
        group[name] = h5py.ExternalLink(paths[0], link.entry)
        return
    shapes, dtype = _shapes(link)
    depth = len(link.index)
    count = sum(shape[depth] for shape in shapes)
    layout = h5py.VirtualLayout((count, *shapes[0][depth + 1 :]), dtype)
    at = 0
    for path, shape in zip(paths, shapes):
        source = h5py.VirtualSource(path, link.entry, shape, dtype)
        rows = slice(at, at + shape[depth])
        layout[rows] = source[link.index] if depth else source
        at = rows.stop
    group.create_virtual_dataset(name, layout)


def _shapes(link):
    """The shape of each file's dataset, [index..., n, ...], and their common type."""
    shapes, dtypes = [], set()
    for path in link.files:
        with _opened(path) as file:
            data = _entry(file, path, link.entry)
            if not isinstance(data, h5py.Dataset) or data.ndim <= len(link.index):
                raise ExtractError(f"{path}: {link.entry}: has too few axes")
            if np.any(np.asarray(link.index) >= data.shape[: len(link.index)]):
                index = ", ".join(map(str, link.index))
                raise ExtractError(
                    f"{path}: {link.entry}: [{index}] is beyond {list(data.shape)}"
                )
            shapes.append(data.shape)
            dtypes.add(data.dtype)
    rests = {shape[len(link.index) + 1 :] for shape in shapes}
    if len(rests) > 1 or len(dtypes) > 1:
        raise ExtractError(
            f"{link.entry}: cannot be joined: its shape or type differs between "
            f"{link.files[0]} and the other files"
        )
    return shapes, dtypes.pop()


def _opened(path):
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ExtractError(f"{path}: cannot be opened: {error}") from None


def _entry(file, path, entry):
    if entry not in file:
        raise ExtractError(f"{path}: has no {entry}")
    return file[entry]
