"""A voice agent that answers each turn, and does not listen to itself.

In five lines:

    import rt_ser
    def turn(utterance):                      # called within 100 ms of the end of speech
        print(utterance.label, utterance.confidence, utterance.change)
    with rt_ser.subscribe(rt_ser.listen(), on_utterance=turn) as subscription:
        subscription.wait()

This program has the whole conversation with a recording:

    python examples/agent_turn.py [RECORDING] [--speed 4]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field

import rt_ser
from rt_ser.data import DEMO_RECORDING
from rt_ser.model import Classifier
from rt_ser.runtime import StreamRunner


@dataclass
class Agent:
    """Answers in a tone that suits how something was said.

    ``stream`` is muted while the agent speaks; ``speed`` is that of the replay, so that
    speaking takes as long as it would in the recording's own time.
    """

    stream: StreamRunner
    speed: float = 1.0
    said: list[str] = field(default_factory=list)

    def turn(self, utterance: rt_ser.Utterance) -> None:
        """Take the user's turn: what language model and speech synthesis would be told."""
        heard = (
            f"[{utterance.start_s:5.1f}-{utterance.stop_s:5.1f} s] {utterance.speech_s:.1f} s of "
            f"speech, {utterance.label} {utterance.confidence:.0%}, valence "
            f"{utterance.valence:+.2f}, arousal {utterance.arousal:+.2f}"
        )
        if utterance.change is not None:
            heard += f" (valence {utterance.change.valence:+.2f} since the last turn)"
        print(heard)
        self.speak(reply_to(utterance))

    def speak(self, text: str) -> None:
        """Speak with the ear closed; a moment's hold-off afterwards swallows the echo."""
        self.stream.mute()
        print(f"    agent: {text}")
        time.sleep(0.05 * len(text) / self.speed)
        self.stream.unmute(hold_off_s=0.2)
        self.said.append(text)


def reply_to(utterance: rt_ser.Utterance) -> str:
    """Choose an answer: a hint about how something was said, never a verdict on a person."""
    if utterance.confidence < 0.4:
        return "I see."
    if utterance.change is not None and utterance.change.valence < -0.5:
        return "Did I get that wrong?"
    if utterance.arousal > 0.3 and utterance.valence < 0.0:
        return "Let us take it slowly."
    return "Good!" if utterance.valence > 0.2 else "Go on."


def converse(recording: str, *, speed: float, model: Classifier | None = None) -> Agent:
    """Have the conversation and return the agent."""
    stream = rt_ser.replay(recording, speed=speed, model=model)
    agent = Agent(stream, speed)
    with rt_ser.subscribe(stream, on_utterance=agent.turn) as subscription:
        subscription.wait()
    muted_s = stream.stats.muted_samples / 16_000
    print(f"{len(agent.said)} turns; not listened for {muted_s:.1f} s while the agent spoke")
    return agent


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", nargs="?", default=str(DEMO_RECORDING))
    parser.add_argument("--speed", type=float, default=1.0)
    options = parser.parse_args()
    converse(options.recording, speed=options.speed)
