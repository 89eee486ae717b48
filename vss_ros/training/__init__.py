"""Training: from a recipe (YAML) and data sets to model cards with weights and measured scores.

Read ``recipe`` (what may be asked for), ``run`` (one recipe from data to cards) and ``loop`` (epochs,
checkpoints, averaged weights), then the three stages: ``backbone_stage`` (the network, on stills),
``pair_stage`` (propagations and scheduler, on frame pairs) and ``motion_stage`` (motion estimators).
The loss of a method of its own lies in the method's file in ``vss_ros.engine``.
"""
