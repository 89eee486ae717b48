"""Who computes: PyTorch, OpenVINO or ONNX Runtime, behind one small interface.

In order: base (what a runtime is), piece (one piece of work and its graphs), pytorch, openvino and
onnxruntime, choose (which one, at which precision).
"""

from vss_ros.engine.registry import import_members
from vss_ros.engine.runtimes.base import RUNTIMES, Runtime

import_members(__name__, __path__)

__all__ = ['RUNTIMES', 'Runtime']
