"""EmotionML 1.0 (W3C Recommendation, 22 May 2014): one <emotion> for each utterance.

Categories are those of the vocabulary "big6" (Ekman) and neutral, which it lacks, so the
document defines the seven itself. Calm counts as neutral; a label that is none of these
keeps its name. Probabilities are told as ``confidence``: how sure it is that the category
applies, not how intense it is. Dimensions are pleasure and arousal of the vocabulary
"pad-dimensions", scaled to [0, 1] as EmotionML demands. Where in the recording the
speech lies is said by a media fragment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from rt_ser.outputs.schema import number
from rt_ser.outputs.sink import Event, LineWriter

NAMESPACE = "http://www.w3.org/2009/10/emotionml"
PAD = "http://www.w3.org/TR/emotion-voc/xml#pad-dimensions"
VOCABULARY = "big6-neutral"
CATEGORIES = {
    "neutral": "neutral",
    "calm": "neutral",
    "happy": "happiness",
    "sad": "sadness",
    "angry": "anger",
    "fearful": "fear",
    "disgust": "disgust",
    "surprised": "surprise",
}
"""Label -> category: six of big6, and neutral."""


class EmotionMlSink:
    """Writes an EmotionML document; it is complete once the sink is closed."""

    def __init__(self, path: str, *, labels: Iterable[str]) -> None:
        self._writer = LineWriter(path, head=head(labels))
        self._is_open = True

    def write(self, event: Event) -> None:
        """Write an utterance; any other event is passed over. Raises OutputError."""
        self._writer.begin()
        if event["type"] == "utterance":
            for line in emotion(dict(event)):
                self._writer.write_line(line)

    def close(self) -> None:
        """Write the end of a document that has begun, and close the file."""
        was_open, self._is_open = self._is_open, False
        try:
            if was_open and self._writer.has_begun:
                self._writer.write_line("</emotionml>")
        finally:
            self._writer.close()


def head(labels: Iterable[str]) -> list[str]:
    """Return the document's beginning, with the vocabulary that it uses."""
    names = dict.fromkeys(CATEGORIES.get(label, label) for label in labels)
    return [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<emotionml version="1.0" xmlns="{NAMESPACE}"',
        f'    category-set="#{VOCABULARY}" dimension-set="{PAD}">',
        f'  <vocabulary type="category" id="{VOCABULARY}">',
        *(f"    <item name={attribute(name)}/>" for name in names),
        "  </vocabulary>",
    ]


def emotion(event: dict[str, Any]) -> list[str]:
    """Return one utterance as an <emotion>."""
    span = f"{event['start_s']:.3f},{event['stop_s']:.3f}"
    place = f"{quote(event['stream'], safe='/', errors='replace')}#t={span}"
    return [
        '  <emotion expressed-through="voice">',
        *(
            f"    <category name={attribute(name)} confidence={attribute(share)}/>"
            for name, share in shares(event["probs"]).items()
        ),
        f'    <dimension name="pleasure" value={attribute(scaled(event["valence"]))}/>',
        f'    <dimension name="arousal" value={attribute(scaled(event["arousal"]))}/>',
        f'    <reference uri={attribute(place)} role="expressedBy"/>',
        "  </emotion>",
    ]


def shares(probs: Mapping[str, float]) -> dict[str, float]:
    """Add the labels' probabilities up by category."""
    found: dict[str, float] = {}
    for label, prob in probs.items():
        name = CATEGORIES.get(label, label)
        found[name] = min(1.0, number(found.get(name, 0.0) + prob))
    return found


def scaled(affect: float) -> float:
    """Bring a value in [-1, 1] to EmotionML's scale, where 0.5 is neither nor."""
    return number((affect + 1.0) / 2.0)


def attribute(value: object) -> str:
    """Quote an attribute's value; what XML cannot hold becomes a question mark."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return quoteattr(text)
