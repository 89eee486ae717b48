"""Sound inputs of every kind for ``hostile.py``, and ways to damage them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import onnx
import yaml

from vss_ros.cli.main import main
from vss_ros.engine.model_card import read_card
from vss_ros.images.image_files import read_image
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource as packaged

if TYPE_CHECKING:
    Rng = np.random.Generator

FRAMES = 4
VALUES = (
    '.inf', '-.inf', '.nan', '-1', '0', '1e400', '99999999999999999999', 'null', '[]', '{}', '{a: 1}', '[1]',
    'true', '""', '"../../x"', '"a\\0b"', '"\\ud800"', '²', 'x', '"\\e[2J"', '2020-01-01', '!!binary aGk=',
    '[' * 5000, '&a [*a]',
)  # fmt: skip
NAMES = ('caf\udce9', 'a b', "it's", '$x$', 'ünï', '-o', '\x1b[2J', 'n' * 200)
SEGMENTER = ['--propagation', 'flow_warp', '--scheduler', 'fixed_interval', '--threads', '1']


class Sandbox:
    """Sound inputs, from which each case takes its own copy."""

    def __init__(self, root: Path) -> None:
        """Make them."""
        self.root = root / 'sound'
        images = self._pictures()
        with av.open(str(self.root / 'drive.mkv'), 'w') as container:
            stream = container.add_stream('mpeg4', rate=15)
            stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
            for file in sorted(images.iterdir()):
                picture = read_image(file)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
            container.mux(stream.encode(None))
        for storage in ('mcap', 'sqlite3'):
            command = ['bag', 'make', str(images), '-o', str(self.root / storage), '--format', 'png']
            assert main([*command, '--storage', storage]) == 0
        assert main(['evaluate', str(images), '-o', str(self.root / 'results'), *SEGMENTER]) == 0
        card = read_card('efficientnet_lite0_fpn')
        shutil.copy(card.path, self.root / 'card.yaml')
        shutil.copy(Path(card.path).with_suffix('.safetensors'), self.root / 'card.safetensors')
        sweep = {
            'configurations': {'a': {'propagation': 'none'}, 'b': {'propagation': 'reuse', 'interval': 2}}
        }
        (self.root / 'sweep.yaml').write_text(yaml.safe_dump(sweep))
        recipe = {
            'stage': 'backbone', 'model': 'cows', 'backbone': 'lernet', 'epochs': 1, 'batch': 2,
            'crop': [64, 96], 'data': {'d': {}},
        }  # fmt: skip
        (self.root / 'recipe.yaml').write_text(yaml.safe_dump(recipe))
        self._network()

    def _pictures(self) -> Path:
        images, labels = self.root / 'drive/images', self.root / 'drive/labels'
        for folder in (images, labels):
            folder.mkdir(parents=True)
        with open_source(packaged('test', 'data', 'street')) as source:
            for frame, mask in source:
                if mask is None or frame.index == FRAMES:
                    break
                small = cv2.resize(frame.image[..., ::-1], (96, 64), interpolation=cv2.INTER_AREA)
                truth = cv2.resize(mask, (96, 64), interpolation=cv2.INTER_NEAREST_EXACT)
                cv2.imwrite(str(images / f'{frame.index:02}.png'), small)
                cv2.imwrite(str(labels / f'{frame.index:02}.png'), truth)
        return images

    def _network(self) -> None:
        """Write a network of the user's own, and its card."""
        file = self.root / 'given' / 'net.onnx'
        file.parent.mkdir()
        helper, real = onnx.helper, onnx.TensorProto.FLOAT
        weights = np.random.default_rng(0).standard_normal((11, 3, 4, 4)).astype(np.float32)
        graph = helper.make_graph(
            [helper.make_node('Conv', ['image', 'weights'], ['logits'], strides=[4, 4])],
            'net',
            [helper.make_tensor_value_info('image', real, [1, 3, 64, 96])],
            [helper.make_tensor_value_info('logits', real, [1, 11, 16, 24])],
            [onnx.numpy_helper.from_array(weights, 'weights')],
        )
        opset = helper.make_opsetid('', 17)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), file)
        assert main(['models', 'add', str(file), '--classes', 'camvid11', '-o', str(self.root)]) == 0


def rename(path: Path, rng: Rng) -> Path:
    """Give a file or folder an odd name; returns its path."""
    return path.rename(path.with_name(NAMES[int(rng.integers(len(NAMES)))] + path.suffix))


def flip(file: Path, rng: Rng) -> None:
    """Change some bytes."""
    blob = bytearray(file.read_bytes())
    for _ in range(int(rng.integers(1, 9))):
        blob[int(rng.integers(len(blob)))] ^= int(rng.integers(1, 256))
    file.write_bytes(blob)


def cut(file: Path, rng: Rng) -> None:
    """Leave the beginning."""
    blob = file.read_bytes()
    file.write_bytes(blob[: int(rng.integers(len(blob)))])


def odd(file: Path, rng: Rng) -> None:
    """Put something else in its place."""
    file.unlink()
    kind = int(rng.integers(5))
    if kind == 0:
        file.mkdir()
    elif kind == 1:
        os.mkfifo(file)
    elif kind == 2:
        file.symlink_to('nowhere')
    elif kind == 3:
        file.symlink_to('/dev/zero')
    else:
        file.write_bytes(rng.bytes(int(rng.integers(3000))))


def value(file: Path, rng: Rng) -> None:
    """Replace the value of a line of a YAML or JSON file."""
    lines = file.read_text(errors='replace').splitlines() or ['']
    number = int(rng.integers(len(lines)))
    key, colon, _ = lines[number].partition(':')
    lines[number] = f'{key}{colon} {VALUES[int(rng.integers(len(VALUES)))]}'
    file.write_text('\n'.join(lines), errors='surrogatepass')
