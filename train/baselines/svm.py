"""The classifier of a hundred papers: statistics of a clip, standardised, in an RBF SVM."""

from __future__ import annotations

import numpy as np

from rt_ser.types import F32
from train.metrics import F64, Ints

COST = 1.0
"""C of the SVM; this and gamma = 1 / features are scikit-learn's defaults after scaling."""


def classify(train: F32, targets: Ints, test: F32) -> Ints:
    """Fit on some clips and return the classes of others.

    Nothing is tuned. Scaling is that of the training clips; classes weigh the same. A
    feature that never varies there says nothing and is left at 0.

    Parameters
    ----------
    train, test : ndarray, shape (clips, features), float32
    targets : ndarray, shape (clips,), int64

    Returns
    -------
    ndarray, shape (clips,), int64
    """
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    scaler = StandardScaler().fit(train.astype(np.float64))
    known, asked = (scaler.transform(part.astype(np.float64)) for part in (train, test))
    gamma = 1.0 / train.shape[1]
    # The kernel as a matrix product takes seconds where libsvm's own loop takes minutes.
    machine = SVC(C=COST, kernel="precomputed", class_weight="balanced")
    machine.fit(rbf(known, known, gamma=gamma), targets)
    return np.asarray(machine.predict(rbf(asked, known, gamma=gamma)), np.int64)


def rbf(left: F64, right: F64, *, gamma: float) -> F64:
    """Return exp(-gamma |a - b|^2) of all pairs, shape (left, right)."""
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None, :]
    distances = np.maximum(squares - 2.0 * left @ right.T, 0.0)
    return np.asarray(np.exp(-gamma * distances), np.float64)
