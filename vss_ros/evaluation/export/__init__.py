"""Masks in the files that other tools read: ``vss segment --export``, ``EXPORTERS[name](folder, table)``.

``exporter.py`` is what all layouts share: a file a frame, under the frame's name, written whole.
``layouts.py`` has one exporter for each layout: Cityscapes, CamVid, UAVid and COCO.
"""

from vss_ros.evaluation.export.exporter import Exporter
from vss_ros.evaluation.export.layouts import CamVidExporter, CityscapesExporter, CocoExporter, UAVidExporter

__all__ = ['EXPORTERS', 'Exporter']

EXPORTERS: dict[str, type[Exporter]] = {
    'camvid': CamVidExporter,
    'cityscapes': CityscapesExporter,
    'coco': CocoExporter,
    'uavid': UAVidExporter,
}
"""By the name the command line uses; the first line of each docstring says what it writes."""
