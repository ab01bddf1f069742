"""One tree of errors. Every message says what, which value, what is allowed, what to do next."""

from __future__ import annotations


class RtSerError(Exception):
    """Root of everything that rt-ser raises on purpose.

    ``exit_code`` is what the command line leaves with when it meets one.
    """

    exit_code = 1


class ConfigError(RtSerError):
    """A setting is unknown, of the wrong type or out of range."""

    exit_code = 2


class InputError(RtSerError):
    """Samples or a file handed in cannot be used."""

    exit_code = 3


class DeviceError(RtSerError):
    """A microphone or the audio system is missing, busy or gone."""

    exit_code = 4


class ModelError(RtSerError):
    """A model file, its manifest or the TFLite runtime is missing, damaged or unfit."""

    exit_code = 5


class OutputError(RtSerError):
    """Results cannot be written where they were asked for."""

    exit_code = 6
