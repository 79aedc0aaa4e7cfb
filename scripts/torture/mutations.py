"""Small zoo files of every kind, and ways to spoil them: at random, and where HDF5 keeps its structures."""

import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
from arrays import mlp_factors, related  # noqa: E402
from networks import Network, Stored  # noqa: E402
from zoogram import write_zoo  # noqa: E402

# The structures of HDF5 that begin with a signature.
SIGNATURES = (b"\x89HDF\r\n\x1a\n", b"TREE", b"HEAP", b"SNOD", b"GCOL", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD",
              b"BTIN", b"BTLF", b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EASB", b"EADB", b"FSHD", b"FSSE", b"SMTB", b"SMLI")
CHECKED = SIGNATURES[5:]  # those that end with a checksum; and the superblock of new files
MODEL = b"model@@@@@@"    # what names the models of a seed, to be replaced by a name of the same length
SAMPLES = 24


# Checksums: Bob Jenkins' lookup3, hashlittle() with the initial value 0, as HDF5 applies it to its metadata


def rotate(x, k):
    return (x << k | x >> (32 - k)) & 0xFFFFFFFF


def mix(a, b, c):
    for shift, last in ((4, "c"), (6, "a"), (8, "b"), (16, "c"), (19, "a"), (4, "b")):
        if last == "c":
            a, c = (a - c) & 0xFFFFFFFF ^ rotate(c, shift), (c + b) & 0xFFFFFFFF
        elif last == "a":
            b, a = (b - a) & 0xFFFFFFFF ^ rotate(a, shift), (a + c) & 0xFFFFFFFF
        else:
            c, b = (c - b) & 0xFFFFFFFF ^ rotate(b, shift), (b + a) & 0xFFFFFFFF
    return a, b, c


def checksum(data):
    length = len(data)
    a = b = c = (0xDEADBEEF + length) & 0xFFFFFFFF
    words = struct.unpack(f"<{-(-length // 4)}I", bytes(data) + bytes(-length % 4))
    words += (0,) * (-len(words) % 3)
    for k in range(0, len(words), 3):
        a, b, c = (a + words[k]) & 0xFFFFFFFF, (b + words[k + 1]) & 0xFFFFFFFF, (c + words[k + 2]) & 0xFFFFFFFF
        if k + 3 < len(words):
            a, b, c = mix(a, b, c)
    if length:
        for x, shift in (("c", 14), ("a", 11), ("b", 25), ("c", 16), ("a", 4), ("b", 14), ("c", 24)):
            if x == "c":
                c = (c ^ b) - rotate(b, shift) & 0xFFFFFFFF
            elif x == "a":
                a = (a ^ c) - rotate(c, shift) & 0xFFFFFFFF
            else:
                b = (b ^ a) - rotate(a, shift) & 0xFFFFFFFF
    return c


# Seeds


def everything(seed):
    """A network that has something of each kind of data."""
    random = np.random.default_rng(seed)
    normal = random.standard_normal
    shares = random.random((SAMPLES, 2, 3, 3)) + 0.1
    layers = related(SAMPLES, [5, 4], seed=seed)
    return Network(
        activations={
            "single": layers["layer0"].astype(np.float32), "half": layers["layer1"].astype(np.float16),
            "packed": Stored(normal((SAMPLES, 6)), {"chunks": (5, 4), "compression": "gzip", "shuffle": True}),
            "summed": Stored(normal((SAMPLES, 3)), {"chunks": (7, 3), "fletcher32": True}),
        },
        weights={"fc.weight": Stored(normal((4, 6)), attributes={"kind": "linear"}), "fc.bias": normal(4),
                 "conv": Stored(normal((4, 2, 3, 3)), attributes={"kind": "conv", "input_size": [8, 8], "stride": 2,
                                                                  "padding": [1, 1], "padding_mode": "zeros"})},
        gradients={"task0": Stored(normal(28), attributes={"parameters": ["fc.weight", "fc.bias"]}), "task1": normal(28)},
        sample_gradients=normal((6, 28)), jacobian=normal((6, 3, 28)), tangent=mlp_factors(seed, m=6, widths=(3, 4), classes=2),
        logits=normal((SAMPLES, 3)), sharpness=Stored(random.random((2, 3)), attributes={"radius": [0.1, 0.2]}),
        margin_gradients=random.random((SAMPLES, 3)), attention={"block": shares / shares.sum(axis=-1, keepdims=True)},
        head_importance={"block": random.random(2)},
        cross_attention={"cross": np.full((SAMPLES, 2, 3, 3), 1 / 9)}, maps={"single": normal((SAMPLES, 2))},
        graph={"op": np.array(["conv", "relu", "fc"], dtype=h5py.string_dtype()), "edge": np.array([[0, 1], [1, 2]])},
    )


def write_old(path, seed):
    """The oldest structures: symbol tables, local heaps, B-trees of version 1."""
    ids = np.array([f"image{k}" for k in range(SAMPLES)], dtype=h5py.string_dtype())
    write_zoo(path, {MODEL.decode(): everything(seed)}, ids=ids, track_order=False)


def write_tracked(path, seed):
    """Groups that keep the order of creation: object headers of version 2, links in fractal heaps."""
    write_zoo(path, {MODEL.decode(): everything(seed)}, ids=np.arange(SAMPLES))


def write_new(path, seed):
    """The newest structures: every index of chunks, dense attributes."""
    random = np.random.default_rng(seed)
    forms = {"one": {"chunks": (SAMPLES, 4), "compression": "gzip"}, "fixed": {"chunks": (5, 2)},
             "fixed_packed": {"chunks": (5, 2), "compression": "gzip"}, "growing": {"chunks": (5, 4), "maxshape": (None, 4)},
             "growing_packed": {"chunks": (1, 4), "maxshape": (None, 4), "compression": "gzip"},
             "tree": {"chunks": (5, 2), "maxshape": (None, None)}, "scaled": {"chunks": (8, 4), "scaleoffset": 3}}
    with h5py.File(path, "w", libver="latest", track_order=True) as file:
        file.attrs.update({"format": "zoogram-zoo", "version": 1})
        model = file.create_group(f"models/{MODEL.decode()}")
        layers = model.create_group("activations", track_order=True)
        for k, (name, options) in enumerate(forms.items()):
            layers.create_dataset(name, data=random.standard_normal((SAMPLES, 4)), **options).attrs["order"] = k
        for k in range(12):
            model.create_dataset(f"weights/w{k:02d}", data=random.standard_normal((3, 2)), dtype="f4")
        for k in range(12):
            model["weights/w00"].attrs[f"note{k}"] = "x" * k


def write_linked(path, seed):
    """Links to a sound file beside it, a virtual dataset over it, compact and external storage."""
    random = np.random.default_rng(seed)
    other = path.with_name("sound.h5")
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": np.bytes_("zoogram-zoo"), "version": 1})
        layers = file.create_group(f"models/{MODEL.decode()}/activations")
        layers["inside"] = random.standard_normal((SAMPLES, 3))
        layers["soft"] = h5py.SoftLink("inside")
        layers["hard"] = layers["inside"]
        layers["outside"] = h5py.ExternalLink(other.name, "/models/sound0/activations/single")
        layout = h5py.VirtualLayout((SAMPLES, 6), "f8")
        for k in range(2):
            layout[:, 3 * k:3 * k + 3] = h5py.VirtualSource(other.name, f"/models/sound{k}/activations/summed", (SAMPLES, 3))
        layers.create_virtual_dataset("virtual", layout)
        layers.create_dataset("raw", shape=(SAMPLES, 2), dtype="f4", external=[("sound.h5", 512, SAMPLES * 8)])
        space, plist = h5py.h5s.create_simple((SAMPLES, 2)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        compact = h5py.h5d.create(layers.id, b"compact", h5py.h5t.IEEE_F32LE, space, plist)
        compact.write(h5py.h5s.ALL, h5py.h5s.ALL, random.standard_normal((SAMPLES, 2)).astype("f4"))


def write_sound(path):
    """Two models that nobody touches; their values have to be right whatever lies beside them."""
    write_zoo(path, {f"sound{k}": everything(7 + k) for k in range(2)})


@dataclass
class Seed:
    """The bytes of a file, and where its structures are."""

    name: str
    data: bytes
    starts: list = field(default_factory=list)     # of structures with a signature
    messages: list = field(default_factory=list)   # (offset, bytes) of the messages of object headers
    checked: list = field(default_factory=list)    # (start, end): a checksum stands at the end


def find_all(data, word):
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + 1)


def header_addresses(path):
    """Where the object headers of a file are."""
    with h5py.File(path, "r") as file:
        addresses = {h5py.h5o.get_info(file.id).addr}
        file.visititems(lambda name, item: addresses.add(h5py.h5o.get_info(item.id).addr))  # hard links only
    return sorted(addresses)


def old_messages(data, address):
    """The messages of an object header of version 1, and of what continues it."""
    count, = struct.unpack_from("<H", data, address + 2)
    size, = struct.unpack_from("<I", data, address + 8)
    blocks = [(address + 16, size)]
    while blocks and count:
        at, left = blocks.pop(0)
        while left >= 8 and count:
            kind, length = struct.unpack_from("<HH", data, at)
            yield at + 8, length
            if kind == 0x10:
                blocks.append(struct.unpack_from("<QQ", data, at + 8))
            at, left, count = at + 8 + length, left - 8 - length, count - 1


def new_messages(data, address):
    """The messages of an object header of version 2, as far as its first block goes."""
    flags = data[address + 5]
    at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    end = at + width + int.from_bytes(data[at:at + width], "little")
    at += width
    head = 6 if flags & 4 else 4
    while at + head <= end:
        length, = struct.unpack_from("<H", data, at + 1)
        yield at + head, length
        at += head + length


def span_of_checksum(data, start):
    """(start, end) of a structure that has its checksum at its end; None when none is found."""
    for end in range(start + 8, min(start + 2100, len(data) - 3)):
        if checksum(data[start:end]) == struct.unpack_from("<I", data, end)[0]:
            return start, end
    return None


def read_seed(path):
    data = path.read_bytes()
    seed = Seed(path.stem, data)
    seed.starts = sorted(at for word in SIGNATURES for at in find_all(data, word))
    for address in header_addresses(path):
        parse = new_messages if data[address:address + 4] == b"OHDR" else old_messages
        seed.messages += [(at, size) for at, size in parse(data, address) if size]
    checked = [at for word in CHECKED for at in find_all(data, word)] + ([0] if data[8] >= 2 else [])
    seed.checked = [span for span in (span_of_checksum(data, at) for at in checked) if span]
    return seed


def make_seeds(folder):
    """Write the sound file and the seeds into a folder. \\return the seeds."""
    write_sound(folder / "sound.h5")
    seeds = []
    for k, write in enumerate((write_old, write_tracked, write_new, write_linked)):
        path = folder / f"{write.__name__.removeprefix('write_')}.h5"
        write(path, k)
        seeds.append(read_seed(path))
    return seeds


# Mutations: each changes a bytearray in place, and says where


def flip(data, seed, random):
    """Bits here and there."""
    places = [random.randrange(len(data)) for _ in range(random.choice((1, 1, 2, 4, 16)))]
    for at in places:
        data[at] ^= 1 << random.randrange(8)
    return places


def run(data, seed, random):
    """A run of bytes that are all the same, or any."""
    length = random.choice((1, 2, 4, 8, 16, 64, 512))
    at = random.randrange(len(data))
    length = min(length, len(data) - at)
    data[at:at + length] = random.choice((bytes(length), b"\xff" * length, random.randbytes(length)))
    return [at, at + length - 1]


def truncate(data, seed, random):
    """The end is missing; half of the time the superblock knows."""
    del data[random.randrange(1, len(data)):]
    at = 40 if seed.data[8] < 2 else 28
    if random.random() < 0.5 and len(data) > at + 8:
        struct.pack_into("<Q", data, at, len(data))
        return [at]
    return []


def splice(data, seed, random):
    """A part of the file stands where another belongs, is doubled, or is gone."""
    length = random.choice((8, 16, 64, 256, 1024))
    source, at = random.randrange(len(data)), random.randrange(len(data))
    part = bytes(data[source:source + length])
    way = random.randrange(4)
    if way == 0:
        data[at:at] = part
    elif way == 1 and len(data) > 2 * length:
        del data[at:at + length]
    else:
        part = part[:len(data) - at]
        data[at:at + len(part)] = part
        return [at, at + len(part) - 1]
    return [at]


def numbers(seed, random, width):
    """A number that is awkward for a reader."""
    most = (1 << 8 * width) - 1
    awkward = (0, 1, 2, 3, 7, 8, 255, most, most - 1, most >> 1, (most >> 1) + 1, 1 << min(30, 8 * width - 1),
               len(seed.data), len(seed.data) - 1, random.choice(seed.starts), random.randrange(most + 1),
               random.choice(seed.messages)[0] - 16)
    return random.choice(awkward) & most


def put_number(data, seed, random, at):
    width = random.choice((1, 1, 2, 4, 8))
    if at + width <= len(data):
        old = int.from_bytes(data[at:at + width], "little")
        new = (old + random.choice((-1, 1))) & ((1 << 8 * width) - 1) if random.random() < 0.3 else numbers(seed, random, width)
        data[at:at + width] = new.to_bytes(width, "little")
    return [at, min(at + width, len(data)) - 1]


def structure(data, seed, random):
    """A number in the superblock, a heap, a tree, an index."""
    start = random.choice(seed.starts)
    reach = random.choice((16, 64, 256))
    return put_number(data, seed, random, min(start + random.randrange(4, reach), len(data) - 1))


def message(data, seed, random):
    """A number in a message of an object header: dataspace, datatype, layout, filters, attribute, links."""
    at, size = random.choice(seed.messages)
    offset = random.randrange(-8, size) if random.random() < 0.5 else random.randrange(0, min(size, 16))
    return put_number(data, seed, random, at + offset)


def pointer(data, seed, random):
    """An address of the file leads somewhere else in it, for loops and wrong kinds."""
    places = [at for at in range(0, len(data) - 8, 4) if 0 < struct.unpack_from("<Q", data, at)[0] < len(data)]
    at = random.choice(places)
    struct.pack_into("<Q", data, at, random.choice(seed.starts + [place - 16 for place, _ in seed.messages]))
    return [at, at + 7]


KINDS = (flip, run, truncate, splice, structure, message, pointer)


def mend_checksums(data, seed, places):
    """So that a reader gets past the checksum of what was changed."""
    for start, end in seed.checked:
        if end + 4 <= len(data) and any(start <= at < end for at in places):
            struct.pack_into("<I", data, end, checksum(data[start:end]))


def rename(data, seed, name):
    """Give the model another name, of the same length."""
    places = list(find_all(data, MODEL))
    for at in places:
        data[at:at + len(MODEL)] = name
    mend_checksums(data, seed, places)


def mutate(seed, random, name):
    """A spoilt copy of a seed, its model under this name. \\return bytes and the kinds of what was done."""
    data = bytearray(seed.data)
    rename(data, seed, name)
    chosen = random.choices(KINDS, (2, 1, 1, 1, 4, 6, 2), k=random.choice((1, 1, 1, 2, 3)))
    for change in chosen:
        places = change(data, seed, random)
        if random.random() < 0.9:
            mend_checksums(data, seed, places)
    return bytes(data), [change.__name__ for change in chosen]
