"""The ROS 2 node that runs on a robot: images in, masks and key-frame decisions out.

Read ``segmentation_node``, the lifecycle, then ``stream``: what an image goes through. ``camera`` is the
subscription and all that may be wrong with it, ``intake`` turns messages of each transport into frames,
``conversions`` results into messages, ``outputs`` publishes them, ``parameters`` makes the engine's options
ROS parameters (``parameter_files``: those not taken), ``diagnostics`` counts for /diagnostics. ``main`` is
the executable; ``process`` has what all executables of the package share, ``shared_memory`` tidies up at
start.
"""
