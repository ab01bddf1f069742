"""Capture and conversion: a microphone, a file or a pipe becomes mono chunks at one rate."""
