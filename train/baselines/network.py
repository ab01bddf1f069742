"""The network of most tutorials: 180 means over time into a small 1-D convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from rt_ser.types import F32
from train.metrics import Ints

EPOCHS = 100
BATCH = 32
SEED = 0


def build(features: int, classes: int) -> Any:
    """Return the usual network: two convolutions over the list of features, then a choice.

    That neighbouring means are no neighbours in time or pitch troubles nobody.
    """
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((features, 1)),
            layers.Conv1D(128, 5, padding="same", activation="relu"),
            layers.Dropout(0.1),
            layers.MaxPooling1D(8),
            layers.Conv1D(128, 5, padding="same", activation="relu"),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def classify(train: F32, targets: Ints, test: F32, *, classes: int, epochs: int = EPOCHS) -> Ints:
    """Train on some vectors for a fixed number of epochs and return the classes of others.

    Parameters
    ----------
    train, test : ndarray, shape (vectors, features), float32
    targets : ndarray, shape (vectors,), int64

    Returns
    -------
    ndarray, shape (vectors,), int64
    """
    import keras
    from sklearn.preprocessing import StandardScaler

    keras.utils.set_random_seed(SEED)
    scaler = StandardScaler().fit(train)
    model = build(train.shape[1], classes)
    known = scaler.transform(train)[..., None]
    model.fit(known, targets, batch_size=BATCH, epochs=epochs, verbose=0)
    said = model.predict(scaler.transform(test)[..., None], verbose=0)
    return np.asarray(said.argmax(axis=1), np.int64)
