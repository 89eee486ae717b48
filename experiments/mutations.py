"""Mutated images, millions in the decoder or thousands over DDS: no crash, no wrong pixel, each one counted.

Of a PNG whatever is accepted has the pixels of the whole file, for its checksums notice the rest; of a JPEG,
which has none, those that Pillow decodes of the same bytes; of a raw image those of a NumPy expression.

Examples:
  tools/run python -m experiments.mutations 10000000        # ten minutes of one core
  tools/run python -m experiments.mutations 10000 --dds
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from PIL import Image as Pillow
from tqdm import tqdm

from vss_ros.command_line import add, new_parser
from vss_ros.images.image_decoding import decode_compressed
from vss_ros.images.image_error import ImageError
from vss_ros.images.raw_decoding import decode_raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

BATCH = 10_000
MOST_CHANGES = 4
"""Bytes that are other, of a mutation that leaves the length."""
NUMBERS = (0, 1, 2, 15, 16, 17, 48, 2**16, 2**31, 2**32 - 1)
"""What sizes and steps of raw images become."""
TOLERANCE = 3
"""Two versions of libjpeg may round differently."""


class WrongPixelError(AssertionError):
    """A mutated image was accepted, and is not what it is."""


class Raw(NamedTuple):
    """A raw image as a message carries it."""

    data: bytes
    height: int
    width: int
    encoding: str
    step: int


def files() -> list[tuple[str, bytes, NDArray[np.uint8]]]:
    """Return small whole files of many kinds: format, bytes, pixels."""
    coarse = np.random.default_rng(0).integers(0, 255, (4, 5, 3), np.uint8)
    image = cv2.resize(coarse, (20, 16), interpolation=cv2.INTER_CUBIC)
    flags = [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 1)]
    blobs = [('jpeg', cv2.imencode('.jpg', image, flag)[1].tobytes()) for flag in flags]
    blobs.append(('jpeg', cv2.imencode('.jpg', image[..., 0])[1].tobytes()))
    alpha = np.dstack([image, image[..., :1]])
    blobs += [('png', cv2.imencode('.png', kind)[1].tobytes()) for kind in (image, alpha, image[..., 0])]
    with io.BytesIO() as file:
        Pillow.fromarray(image).quantize(16).save(file, 'png')
        blobs.append(('png', file.getvalue()))
    return [(kind, blob, decode_compressed(blob, kind)) for kind, blob in blobs]


def mutations(count: int, whole: Sequence[bytes], seed: int) -> Iterator[tuple[int, bytes]]:
    """Yield which of some files was mutated, and the mutation: other bytes, an early end, or a moved part."""
    for batch in range(-(-count // BATCH)):
        rng = np.random.default_rng((seed, batch))
        number = min(BATCH, count - batch * BATCH)
        which = rng.integers(len(whole), size=number).tolist()
        kinds = rng.integers(8, size=number).tolist()
        changes = rng.integers(1, MOST_CHANGES + 1, size=number).tolist()
        places = rng.random((number, MOST_CHANGES)).tolist()
        values = rng.integers(1, 256, size=(number, MOST_CHANGES)).tolist()
        for index, kind, change, place, value in zip(which, kinds, changes, places, values, strict=True):
            data = bytearray(whole[index])
            if kind == 0:
                del data[int(place[0] * len(data)) :]
            elif kind == 1:
                begin, size = int(place[0] * len(data)), int(place[1] * 40)
                target = int(place[2] * len(data))
                data[target : target + size] = data[begin : begin + size]
            else:
                for where, by in zip(place[:change], value, strict=False):
                    data[int(where * len(data))] ^= by
            yield index, bytes(data)


def compressed(count: int, seed: int, counts: Counter[str], bar: Any) -> None:
    """Decode mutated files."""
    known = files()
    for index, blob in mutations(count, [blob for _, blob, _ in known], seed):
        kind, before, pixels = known[index]
        bar.update()
        if blob == before:
            counts[f'{kind}: unchanged'] += 1
            continue
        try:
            image = decode_compressed(blob, kind)
        except ImageError as error:
            counts[f'{kind}: refused, {error.reason}'] += 1
            continue
        same = image.shape == pixels.shape and np.array_equal(image, pixels)
        if not same and not (kind == 'jpeg' and np.abs(image - opinion(blob)).max() <= TOLERANCE):
            raise WrongPixelError(f'{kind}, seed {seed}: {blob.hex()}')
        counts[f'{kind}: {"its pixels" if same else "other pixels, as libjpeg says"}'] += 1


def opinion(blob: bytes) -> NDArray[np.int16]:
    """Return what Pillow decodes."""
    with Pillow.open(io.BytesIO(blob)) as image:
        return np.asarray(image.convert('RGB'), np.int16)


def raw(count: int, seed: int, counts: Counter[str], bar: Any) -> None:
    """Decode raw images of which a field is another."""
    rng = np.random.default_rng((seed, 1))
    data = rng.integers(0, 256, 17 * 64, np.uint8).tobytes()
    encodings = ['rgb8', 'bgr8', 'mono8', 'rgba8', 'bayer_rggb8', 'nv12', 'mono16', 'rgb9', '']
    wholes = [Raw(data[: 16 * 51], 16, 16, 'rgb8', 51), Raw(data[: 17 * 16], 17, 15, 'mono8', 16)]
    for batch in range(-(-count // BATCH)):
        size = min(BATCH, count - batch * BATCH)
        for which, field, number, word, end in zip(
            rng.integers(2, size=size).tolist(), rng.integers(5, size=size).tolist(),
            rng.choice(NUMBERS, size).tolist(), rng.integers(len(encodings), size=size).tolist(),
            rng.integers(len(data), size=size).tolist(), strict=True,
        ):  # fmt: skip
            whole = wholes[which]
            name = whole._fields[field]
            value = data[:end] if name == 'data' else encodings[word] if name == 'encoding' else number
            one = whole._replace(**{name: value})
            bar.update()
            try:
                image = decode_raw(*one)
            except ImageError as error:
                counts[f'raw: refused, {error.reason}'] += 1
                continue
            check_raw(one, image)
            counts['raw: its pixels'] += 1


def check_raw(one: Raw, image: NDArray[np.uint8]) -> None:
    """Compare an accepted raw image with a plain expression for it; raise where they differ."""
    channels = {'rgb8': 3, 'bgr8': 3, 'mono8': 1, 'rgba8': 4}.get(one.encoding)
    good = image.shape == (one.height, one.width, 3)
    if channels and good:
        rows = np.frombuffer(one.data, np.uint8).reshape(one.height, one.step)[:, : channels * one.width]
        pixels = rows.reshape(one.height, one.width, channels)[..., :3]
        good = np.array_equal(image, pixels[..., ::-1] if one.encoding == 'bgr8' else pixels + 0 * image)
    if not good:
        raise WrongPixelError(f'raw: {one._replace(data=b"")}, {len(one.data)} bytes')


def over_dds(count: int, seed: int, counts: Counter[str], bar: Any) -> None:
    """Send mutated files to the real node, which counts each, lives, and answers the next good one."""
    from sensor_msgs.msg import CompressedImage

    from experiments.robot import LostError, robot
    from vss_ros.node.conversions import ns_to_stamp

    known = files()
    fates = ('answered', 'rejected', 'overwritten', 'errors', 'lost')
    with (
        tempfile.TemporaryDirectory() as folder,
        robot(
            Path(folder),
            'diagnostics_period:=0.1',
            'runtime:=torch',
            'precision:=f32',
            transport='compressed',
        ) as bench,
    ):
        bench.recovers()
        bench.spin(1.0)
        before = {fate: bench.count(fate) for fate in fates}

        def counted() -> dict[str, int]:
            return {fate: bench.count(fate) - before[fate] for fate in fates}

        sent = 0
        whole = [blob for _, blob, _ in known]
        for number, (index, blob) in enumerate(mutations(count, whole, seed), 1):
            message = CompressedImage(format=known[index][0], data=blob)
            message.header.stamp = ns_to_stamp(time.time_ns())
            bench.send(message, 'mutated')
            bench.spin(0.01)
            sent += 1
            if number % 20 == 0 or number == count:
                begin = time.monotonic()
                while sum(counted().values()) < sent:
                    if time.monotonic() - begin > 60:
                        raise LostError(f'{counted()} of {sent}; {bench.said}')
                    bench.send()  # the number of a later one shows which were lost
                    sent += 1
                    bench.spin(0.2)
            bar.update()
        counts.update(counted())
        if counts.total() != sent:
            raise LostError(f'{counts} of {sent}')
        bench.recovers()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print what became of them."""
    parser = new_parser('python -m experiments.mutations', __doc__)
    add(parser, 'count N', 'of mutations', type=int)
    add(parser, '--seed', 'of the mutations', 0)
    parser.add_argument('--dds', action='store_true', help='through the real node')
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    with tqdm(total=options.count, mininterval=10.0) as bar:
        if options.dds:
            over_dds(options.count, options.seed, counts, bar)
        else:
            compressed(options.count // 4 * 3, options.seed, counts, bar)
            raw(options.count - options.count // 4 * 3, options.seed, counts, bar)
    for name, number in sorted(counts.items()):
        print(f'{number:>9} {name}')
    print(f'{counts.total():>9} in all: no crash, no wrong pixel')
    return 0


if __name__ == '__main__':
    sys.exit(main())
