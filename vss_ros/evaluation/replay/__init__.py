"""One input under one configuration: every frame answered, scored and timed.

Read ``evaluate_bag`` first, it is the whole way. ``input_frames`` opens an input and finds its truth,
``clock`` steps the segmenter, ``scoring`` gives each answer to all metrics, ``result`` is what comes out.
Beside them: ``propagation`` (accuracy by distance from a key frame), ``operations`` (what a frame computes),
``frame_pictures`` (the worst frames), ``decisions`` (CSV and timeline), ``content`` (hashes for the store).
"""
