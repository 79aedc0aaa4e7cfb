"""Arrays of .npy, .npz and safetensors files, without PyTorch."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np

from zoogram_zoo import ExtractError

SUFFIXES = (".npy", ".npz", ".safetensors")
SAFE_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # the upper half of a float32
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def read_arrays(path):
    """{name: array} of a file; an .npy has one, with the file's name.

    Arrays of .npz come in the order of the file; those of safetensors, which keeps
    none, in natural order of their names.  bfloat16 becomes float32.
    """
    path = Path(path)
    readers = dict(zip(SUFFIXES, (_read_npy, _read_npz, _read_safetensors)))
    if path.suffix not in readers:
        raise ExtractError(f"{path}: expected a suffix of {', '.join(SUFFIXES)}")
    try:
        return readers[path.suffix](path)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        if isinstance(error, ExtractError):
            raise
        raise ExtractError(f"{path}: cannot be read: {error}") from None


def natural(text):
    """A sorting key by which layer.2 comes before layer.10."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
    ]


def _read_npy(path):
    return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False)}


def _read_npz(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _read_safetensors(path):
    """An 8-byte length, a header in JSON, the numbers (the format's own definition)."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            raise ExtractError(f"{path}: is not a safetensors file: header of {length}")
        header = json.loads(file.read(length))
    data = np.memmap(path, np.uint8, "r", 8 + length) if size > 8 + length else b""
    header.pop("__metadata__", None)
    return {
        name: _safe_array(path, name, header[name], data)
        for name in sorted(header, key=natural)
    }


def _safe_array(path, name, entry, data):
    if entry["dtype"] not in SAFE_TYPES:
        raise ExtractError(f"{path}: {name}: type {entry['dtype']} cannot be read")
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(data):
        raise ExtractError(f"{path}: {name}: lies beyond the end of the file")
    values = np.frombuffer(data[start:end], SAFE_TYPES[entry["dtype"]])
    values = values.reshape(entry["shape"])
    if entry["dtype"] == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values
