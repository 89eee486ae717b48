"""Layers that more than one network is built from; a layer of one method lies in that method's file.

Read ``blocks`` first (convolutions, resizing, stages of ResNet, pooled context). ``spatially_variant`` moves
features by a kernel for each cell (with a fused kernel for CUDA), and ``fuse`` merges layers for inference.
"""
