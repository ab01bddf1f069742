"""Models that ship with rt-ser, installed as ``rt_ser.models``.

Each is three files: ``NAME.tflite``, its manifest ``NAME.yaml``, which is checked
when the model is loaded, and its model card ``NAME.md``.
"""
