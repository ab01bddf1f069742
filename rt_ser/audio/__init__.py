"""Capture and conversion: from a microphone, a file or a pipe to mono chunks at the pipeline rate."""
