"""Layers that more than one network is built from; a layer of one method lies in that method's file.

Read ``blocks`` first (convolutions, resizing); ``resnet``, ``pyramid_pooling`` and ``flow_layers`` build on
it. ``warp`` and ``spatially_variant`` move features (the latter with a fused kernel for CUDA), and ``fuse``
merges layers for inference.
"""
