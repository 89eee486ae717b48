"""Training: from a recipe (YAML) and data sets to model cards with weights and measured scores.

Read ``recipe`` (what may be asked for), ``run`` (one recipe from data to cards) and ``loop`` (epochs,
checkpoints, averaged weights), then the stages: ``backbone_stage`` (the network, on stills) and
``pair_stages`` (propagations, scheduler and motion estimators, on frames three at a time).
The loss of a method of its own lies in the method's file in ``vss_ros.engine``.
"""
