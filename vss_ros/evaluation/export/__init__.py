"""Masks and class tables in the forms that other tools read: ``EXPORTERS[name](folder, table)``.

A CSV of decisions has no masks and so no exporter: ``vss_ros.evaluation.replay.decisions.write_csv``, or
``write_rows`` for rows of any kind.
"""

from vss_ros.evaluation.export.base import Exporter
from vss_ros.evaluation.export.cityscapes import CityscapesExporter
from vss_ros.evaluation.export.coco import CocoExporter
from vss_ros.evaluation.export.colours import CamVidExporter, UAVidExporter
from vss_ros.evaluation.export.csv_table import write_rows

__all__ = ['EXPORTERS', 'Exporter', 'write_rows']

EXPORTERS: dict[str, type[Exporter]] = {
    'camvid': CamVidExporter,
    'cityscapes': CityscapesExporter,
    'coco': CocoExporter,
    'uavid': UAVidExporter,
}
"""By the name the command line uses; the first line of each docstring says what it writes."""
