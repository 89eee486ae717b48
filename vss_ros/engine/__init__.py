"""The segmenter, free of ROS: ``StreamSegmenter.step`` takes a camera image and returns its labels.

Read ``frames`` (what goes in and out) and ``pipeline`` (the algorithm), then what it works with: ``view``,
``memory``, ``tracks``, ``preprocess`` and ``labels``. ``options`` declares what users can choose;
``build`` makes a segmenter of it, from model cards (``model_card``) and the parts that are registered
(``registry``) in ``backbones``, ``propagation``, ``schedulers`` and ``motion``; ``layers`` holds networks'
building blocks.
"""
