"""Segment a video, image folder or bag offline with the very engine the node runs.

Writes masks/, overlay.mp4, decisions.csv, timeline.png and summary.json into one folder, which appears
under its name when all of it is whole. Where the input has true masks, the summary holds the mIoU.
--export writes the masks once more, into a folder of the layout's name, as a data set's own tools read them:
  cityscapes  label ids of the benchmark, for CITYSCAPES_RESULTS of cityscapesScripts
  camvid      NAME_L.png in CamVid's colours
  uavid       SEQUENCE/Labels/NAME.png in UAVid's colours
  coco        class ids, 255 for none, with categories.json; for any classes, the others for models of theirs

Examples:
  vss segment drive.mp4 -o out
  vss segment street_bag -o out --track blocking --scheduler fixed_interval --interval 5
  vss segment frames/ -o out --propagation none          the whole network on every frame
  vss segment camvid/val -o out --export camvid           masks also as out/camvid/NAME_L.png
"""

from __future__ import annotations

import sys
from collections import defaultdict
from time import perf_counter
from typing import TYPE_CHECKING, Any, TextIO

from vss_ros.cli.common import (
    add_input_arguments,
    add_json_argument,
    add_segmenter_arguments,
    segmenter_config,
)
from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import keep_apart, whole_folder, write_json, write_png

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from vss_ros.engine.build import Built
    from vss_ros.recordings.source import Source


LAYOUTS = ('camvid', 'cityscapes', 'coco', 'uavid')
"""Of ``--export``; the keys of ``EXPORTERS``, which is imported where it is needed only."""
WRITTEN = {'masks', 'overlay.mp4', 'decisions.csv', 'timeline.png', 'summary.json', *LAYOUTS}
"""What the folder holds, and all that ``--overwrite`` replaces."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add(parser, 'input INPUT', 'video, image folder or bag')
    add(parser, '-o --output DIR', 'folder to make', required=True)
    add(parser, '--overwrite', 'replace a folder that exists')
    add(parser, '--export', 'write the masks in this layout too', choices=LAYOUTS)
    add(parser, '--no-video', 'leave overlay.mp4 out')
    add_input_arguments(parser)
    add_segmenter_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Segment; returns 0, or 1 where frames or parts of the input were damaged and left out."""
    from vss_ros.engine.build import build_segmenter
    from vss_ros.images.classes import load_classes
    from vss_ros.recordings.open import open_source

    target = args.output.resolve()
    keep_apart(target, args.input, args.masks)
    _check_target(target, overwrite=args.overwrite)
    built = build_segmenter(segmenter_config(args))
    with (
        open_source(
            args.input,
            image_topic=args.image_topic or None,
            masks=args.masks,
            fps=args.fps,
            table=load_classes(built.card.classes),
        ) as source,
        whole_folder(target) as folder,
    ):
        summary = _segment(source, built, folder, video=not args.no_video, layout=args.export)
        write_json(folder / 'summary.json', summary)
    built.segmenter.close()
    write_json(args.json, summary)
    _print(summary, args.output, sys.stderr if str(args.json) == '-' else sys.stdout)
    if summary['partial']:
        print(f'vss: {args.input} is damaged, not all of it is here: {summary["partial"]}', file=sys.stderr)
    return 1 if summary['rejected'] or summary['partial'] else 0


def _segment(
    source: Source, built: Built, folder: Path, *, video: bool, layout: str | None
) -> dict[str, Any]:
    """Run every frame through ``step`` and write what came out; returns the summary."""
    import numpy as np
    from tqdm import tqdm

    from vss_ros.engine.labels import resize_labels
    from vss_ros.evaluation.export import EXPORTERS
    from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
    from vss_ros.evaluation.replay.decisions import write_decisions
    from vss_ros.evaluation.rows import DecisionRow
    from vss_ros.images.classes import load_classes
    from vss_ros.images.video_encoding import VideoWriter

    table = load_classes(built.card.classes)
    matrix = ConfusionMatrix(len(table), table.void_id)
    rows, truths = [], 0
    parts: defaultdict[str, list[float]] = defaultdict(list)
    exporter = None if layout is None else EXPORTERS[layout](folder / layout, table)
    (folder / 'masks').mkdir(parents=True)
    with VideoWriter(folder / 'overlay.mp4', source.fps or 15.0) as writer:
        for frame, truth in tqdm(source, total=source.frame_count, unit='frame', desc='segmenting'):
            # Answer, and note how long it took.
            start = perf_counter()
            result = built.segmenter.step(frame)
            mask = resize_labels(result.labels, result.size)
            rows.append(DecisionRow.of(result, latency=perf_counter() - start))
            for part, seconds in result.seconds.items():
                parts[part].append(1e3 * seconds)
            # Write the mask, compare it with the truth, draw it.
            write_png(folder / 'masks' / f'{frame.index:06d}.png', mask)
            if exporter is not None:
                exporter.write(source.frame_name(frame), mask)
            if truth is not None:
                matrix.add(table.truth(truth), mask)
                truths += 1
            if video:
                writer.write(table.blend(frame.image, mask))
    if not rows:
        raise source.nothing
    write_decisions(rows, folder, f'{source.path.name}: offline')
    summary = _summary(rows, matrix if truths else None, table.names, source, built)
    # Medians over the frames on which a part ran.
    return summary | {'parts_ms': {part: round(float(np.median(ms)), 2) for part, ms in parts.items()}}


def _summary(rows: Any, matrix: Any, names: tuple[str, ...], source: Source, built: Built) -> dict[str, Any]:
    from vss_ros.evaluation.replay.decisions import figures_of

    summary: dict[str, Any] = {
        'input': str(source.path),
        'model': built.card.name,
        'frames': len(rows),
        'rejected': source.rejected,
        'partial': source.partial,
        **figures_of(rows),
    }
    if matrix is not None:
        ious = zip(names, matrix.per_class_iou, strict=True)
        summary |= {'miou': round(matrix.miou, 5), 'pixel_accuracy': round(matrix.pixel_accuracy, 5)}
        summary['per_class_iou'] = {name: round(float(v), 5) for name, v in ious}
    return summary


def _print(summary: dict[str, Any], output: Path, file: TextIO) -> None:
    rhythm = f'{summary["key_frames"]} key frames (every {summary["mean_interval"]:.1f})'
    latency = ', '.join(f'{name} {summary["latency_ms"][name]:.1f} ms' for name in ('p50', 'p99', 'max'))
    print(f'{summary["frames"]} frames, {rhythm}\nstep: {latency}', file=file)
    if 'miou' in summary:
        print(f'mIoU {100 * summary["miou"]:.2f} %', file=file)
    if summary['rejected']:
        print(f'{summary["rejected"]} damaged frames were left out', file=file)
    seen = [name for name in ('overlay.mp4', 'timeline.png') if (output / name).exists()]
    print(f'look at {" and ".join(f"{output}/{name}" for name in seen)}', file=file)


def _check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a folder that exists, or that is not a result of this verb."""
    if target.exists() and not overwrite:
        raise VssError(f'{target} exists already; choose another folder or add --overwrite')
    if target.exists() and (not target.is_dir() or {file.name for file in target.iterdir()} - WRITTEN):
        raise VssError(
            f'{target} holds other files than an earlier result, so --overwrite leaves it alone; choose '
            'another folder'
        )
