"""What is remembered of a stream: its key frame, and whether the next frame goes on with what was before."""
