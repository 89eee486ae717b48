"""Pixels in and out: what a camera message, a file or a video packet holds, and what masks look like.

Read ``image_decoding`` (what is refused, with an ``image_error``, and how the rest is decoded; in
``raw_decoding`` the encodings of cameras) and ``label_code`` (from label files to class ids), then
``video_decoding`` with the motion that codecs know, and ``video_encoding`` with the writer of video files.
``classes`` holds the tables of class names and colours, and draws masks.
"""
