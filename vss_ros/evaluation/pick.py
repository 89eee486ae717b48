"""Frames worth labelling: uncertain ones that differ from each other, and our answers for labelling tools."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from tqdm import tqdm

from vss_ros.datasets.exported import PRELABELS, write_table
from vss_ros.engine.build import Built, build_segmenter
from vss_ros.engine.labels import resize_labels
from vss_ros.evaluation.export import categories
from vss_ros.files import whole_folder, write_json, write_png
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.engine.frames import Frame
    from vss_ros.engine.options import SegmenterConfig
    from vss_ros.images.classes import ClassTable
    from vss_ros.recordings.source import Source

Rows = list[dict[str, Any]]
LOOKED_AT = 600
"""Frames of a recording that are looked at, about."""
REACH = 3
"""Frames over which the fast track carries an answer, to be compared with the network's own."""
GRID = (6, 4)
"""Cells of a picture whose colours say how it looks."""
LEAST = 0.3
"""Weight of a frame that is as sure as any; the most uncertain has 1."""
SPECK = 16
"""Pixels below which a patch is left out of outlines."""


@dataclass(frozen=True)
class Seen:
    """One frame that was looked at."""

    index: int
    """Its number in the recording."""
    disagreement: float
    """Share of pixels that the fast track answers otherwise than the network."""
    unsureness: float
    """Mean of what is missing to a confidence of 1."""
    look: NDArray[np.float32]
    """Shares of classes and colours of cells: near for pictures alike."""


def look_at(source: Source, config: SegmenterConfig, every: int) -> list[Seen]:
    """Answer the frames of a recording by the network and by the fast track; of every so many-th say how.

    Raises:
        VssError: There is no frame, or no such network.
    """
    every = every or max((source.frame_count or 0) // LOOKED_AT, 1)
    built, seen = _whole(config), []
    for place, (frame, _) in enumerate(tqdm(source, total=source.frame_count, desc='looking', disable=None)):
        to_next = -place % every
        if to_next == REACH and every > REACH:
            built.segmenter.request_reset()  # the answer that is carried along
        if to_next <= REACH:
            carried = built.segmenter.step(frame).labels
        if not to_next:
            seen.append(_seen(built, frame, carried))
    built.segmenter.close()
    if not seen:
        raise source.nothing
    return seen


def _whole(config: SegmenterConfig) -> Built:
    """Return a segmenter that runs the network only after a reset, and then carries its answer along."""
    config = replace(config, track='blocking', scheduler='fixed_interval', interval=100_000)
    return build_segmenter(config)


def _seen(built: Built, frame: Frame, carried: NDArray[np.uint8]) -> Seen:
    built.segmenter.request_reset()
    result = built.segmenter.step(frame, confidence=True)
    assert result.confidence is not None
    shares = np.bincount(result.labels.ravel(), minlength=len(built.card.class_names)) / result.labels.size
    cells = cv2.resize(frame.image, GRID, interpolation=cv2.INTER_AREA).ravel() / 255
    look = np.concatenate((shares, cells * len(shares) / cells.size)).astype(np.float32)
    disagreement = float(np.mean(result.labels != carried))
    return Seen(frame.index, disagreement, 1 - float(result.confidence.mean()) / 255, look)


def most_different(seen: Sequence[Seen], number: int) -> list[Seen]:
    """Return so many frames in their order: each was the most uncertain and unlike those taken before."""
    scores = [np.array([getattr(one, name) for one in seen]) for name in ('disagreement', 'unsureness')]
    ranks = np.mean([score.argsort().argsort() for score in scores], axis=0) / max(len(seen) - 1, 1)
    weights = LEAST + (1 - LEAST) * ranks
    looks = np.stack([one.look for one in seen])
    chosen = [int(weights.argmax())]
    apart = np.abs(looks - looks[chosen[0]]).sum(1)
    while len(chosen) < min(number, len(seen)):
        gain = weights * apart
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        apart = np.minimum(apart, np.abs(looks - looks[chosen[-1]]).sum(1))
    return [seen[place] for place in sorted(chosen)]


def write(
    source: Source, config: SegmenterConfig, chosen: Collection[Seen], folder: Path
) -> list[dict[str, Any]]:
    """Write the chosen frames with our answers; returns what was chosen, and why, as plain values."""
    wanted = {one.index: one for one in chosen}
    built = _whole(config)
    table = load_classes(built.card.classes)
    rows, answers = [], {}
    # For tools that take UTF-8 alone.
    stem = ''.join(sign if sign.isprintable() else '_' for sign in source.path.stem)
    with whole_folder(folder) as place:
        (place / 'images').mkdir(parents=True)
        for frame, _ in tqdm(source, total=source.frame_count, desc='writing', disable=None):
            one = wanted.pop(frame.index, None)
            if one is not None:
                name = f'{stem}_{frame.index:06d}'
                built.segmenter.request_reset()
                result = built.segmenter.step(frame)
                answers[name] = resize_labels(result.labels, result.size)
                write_png(place / 'images' / f'{name}.png', frame.image)
                why = {'disagreement': round(one.disagreement, 4), 'unsureness': round(one.unsureness, 4)}
                rows.append({'name': name, 'frame': frame.index, 'stamp_ns': frame.stamp_ns, **why})
            if not wanted:
                break
        write_table(table, place / 'classes.yaml')
        write_prelabels(answers, table, place / PRELABELS)
        write_json(place / PRELABELS / 'picked.json', rows)
    built.segmenter.close()
    return rows


def write_prelabels(answers: dict[str, NDArray[np.uint8]], table: ClassTable, folder: Path) -> None:
    """Write ``ids/``, ``coco.json`` and ``cvat.zip`` (CVAT's "Segmentation mask 1.1") of answers by name."""
    coco: dict[str, Any] = {'images': [], 'annotations': []}
    coco['categories'] = [category | {'id': category['id'] + 1} for category in categories(table)]
    lines = ['# label:color_rgb:parts:actions', 'background:0,0,0::']
    lines += [f'{n}:{r},{g},{b}::' for n, (r, g, b) in zip(table.names, table.colours.tolist(), strict=True)]
    (folder / 'ids').mkdir(parents=True)
    with zipfile.ZipFile(folder / 'cvat.zip', 'w', zipfile.ZIP_DEFLATED) as cvat:
        cvat.writestr('labelmap.txt', '\n'.join([*lines, '']))
        cvat.writestr('ImageSets/Segmentation/default.txt', ''.join(f'{name}\n' for name in answers))
        for number, (name, labels) in enumerate(answers.items(), 1):
            write_png(folder / 'ids' / f'{name}.png', labels)
            colours = cv2.cvtColor(table.colourise(labels), cv2.COLOR_RGB2BGR)
            cvat.writestr(f'SegmentationClass/{name}.png', cv2.imencode('.png', colours)[1].tobytes())
            height, width = labels.shape
            coco['images'].append(
                {'id': number, 'file_name': f'{name}.png', 'height': height, 'width': width}
            )
            for entry in _outlines(labels):
                about = {'id': len(coco['annotations']) + 1, 'image_id': number, 'iscrowd': 0}
                coco['annotations'].append(about | entry)
    (folder / 'coco.json').write_text(json.dumps(coco), encoding='utf-8')


def _outlines(labels: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Return COCO's polygons around each patch of one class; holes are covered by what lies in them."""
    found = []
    for label in np.unique(labels).tolist():
        mask = (labels == label).astype(np.uint8)
        outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        for outline in (outlines[i] for i in np.flatnonzero(tree[0, :, 3] < 0)):  # the others are holes
            area, (x, y, w, h) = cv2.contourArea(outline), cv2.boundingRect(outline)
            if len(outline) > 2 and area >= SPECK:
                segmentation = [outline.ravel().tolist()]
                entry = {'category_id': label + 1, 'segmentation': segmentation, 'area': area}
                found.append(entry | {'bbox': [x, y, w, h]})
    return found
