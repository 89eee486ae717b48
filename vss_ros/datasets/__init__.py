"""Labelled data sets for training and scoring: where their files lie, and pairs of frames drawn from them.

Read ``labelled`` (what a data set is once it is open), ``listing`` (from files or a recording to that) and
``layouts`` (which way a folder is laid out), then a layout each: ``folders``, ``camvid``, ``cityscapes``,
``uavid``. ``augment`` makes random views of stills, ``ego_motion`` and ``synthetic_motion`` set stills in
motion, and ``pairs`` draws key and current frames from these or from videos.
"""
