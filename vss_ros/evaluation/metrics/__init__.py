"""The figures an evaluation gives, one file a metric.

Read ``confusion`` first, the counts that most figures are read from, then ``base``, what every metric is,
and ``accuracy``, the shortest one. The others: ``distance`` (accuracy by frames since the key frame),
``boundary`` (class boundaries), ``temporal`` (steadiness), ``streaming`` (the newest mask at each instant),
``calibration`` (whether confidence tells true).
"""

from vss_ros.engine.registry import import_members
from vss_ros.evaluation.metrics.base import METRICS, Column, Metric, Naming, ScoredFrame, total

__all__ = ['METRICS', 'Column', 'Metric', 'Naming', 'ScoredFrame', 'total']

import_members(__name__, __path__)
