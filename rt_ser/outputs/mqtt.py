"""MQTT, with Home Assistant's discovery: emotion, state and the like appear by themselves.

Every event is published as JSON under ``rt-ser/NODE/TYPE``. Nothing but availability and
the descriptions of the sensors is retained: a broker shall not remember how somebody
sounded.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from rt_ser.errors import OutputError
from rt_ser.outputs.extras import need
from rt_ser.outputs.sink import Event
from rt_ser.outputs.trouble import Trouble
from rt_ser.types import State

_LOG = logging.getLogger(__name__)

PASSWORD_VARIABLE: Final = "MQTT_PASSWORD"
DISCOVERY: Final = "homeassistant"
MAX_UNSENT: Final = 256
"""Messages that may wait for a slow broker; what comes beyond is dropped and counted."""

CONNECT_S: Final = 2.0
CLOSE_S: Final = 2.0
_RECONNECT_S: Final = (1, 30)
_ADVICE = "give mqtt://[USER@]HOST[:PORT][/NODE], or mqtts:// for TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where to publish, and under which name."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None = field(repr=False)
    node: str


def broker(uri: str, *, environ: Mapping[str, str] = os.environ) -> Broker:
    """Parse an address; the password comes from ``MQTT_PASSWORD``. Raises OutputError."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # a name that no socket takes is a ValueError here
    except ValueError:
        raise OutputError(f"no MQTT address: {uri!r}: {_ADVICE}") from None
    if parts.scheme not in ("mqtt", "mqtts") or not host:
        raise OutputError(f"no MQTT address: {uri!r}: {_ADVICE}")
    node = parts.path.strip("/") or "rt-ser"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", node):
        raise OutputError(f"node {node!r} must be letters, digits, - and _: {_ADVICE}")
    tls = parts.scheme == "mqtts"
    if parts.password is not None:
        raise OutputError(f"a password in an address is seen by everybody: set {PASSWORD_VARIABLE}")
    return Broker(
        host=host,
        port=port or (8883 if tls else 1883),
        tls=tls,
        user=None if parts.username is None else unquote(parts.username),
        password=environ.get(PASSWORD_VARIABLE),
        node=node,
    )


class MqttSink:
    """Publishes every event and never waits: the client's own thread does all of that.

    It connects again whenever the connection is lost, and describes its sensors again
    whenever the broker or Home Assistant has been started anew. What cannot be sent is
    dropped and counted in ``dropped``: an old mood must not be published as the present.
    A broker that refuses, or cannot be reached, is logged once until all is well again. Only
    making the sink may wait, for two seconds, for the first connection.

    Raises
    ------
    OutputError
        If paho-mqtt is missing or the address is none.
    """

    def __init__(self, uri: str, *, labels: tuple[str, ...]) -> None:
        self.name = "mqtt"
        self.dropped = 0
        self._broker = broker(uri)
        self._labels = labels
        self._base = f"rt-ser/{self._broker.node}"
        self._where = f"{self._broker.host}:{self._broker.port}"
        self._trouble = Trouble(_LOG)
        self._is_refused = False
        self._is_closing = False
        self._unsent = 0
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._client = self._new_client()
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=30)
        self._client.loop_start()
        self._answered.wait(CONNECT_S)

    def write(self, event: Event) -> None:
        """Publish an event; returns at once."""
        with self._lock:
            if not self._client.is_connected() or self._unsent >= MAX_UNSENT:
                self.dropped += 1
                return
            self._unsent += 1
        text = json.dumps(event, allow_nan=False, separators=(",", ":"))
        self._client.publish(f"{self._base}/{event['type']}", text, qos=0)

    def close(self) -> None:
        """Say that nothing more comes, and disconnect; two seconds at most."""
        self._is_closing = True
        if self._client.is_connected():
            last = self._client.publish(f"{self._base}/status", "offline", qos=1, retain=True)
            last.wait_for_publish(CLOSE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _new_client(self) -> Any:
        paho = need("paho.mqtt.client", extra="mqtt")
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.max_queued_messages_set(MAX_UNSENT)
        client.reconnect_delay_set(*_RECONNECT_S)
        client.will_set(f"{self._base}/status", "offline", qos=1, retain=True)
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls:
            client.tls_set()
        client.on_connect = self._connected
        client.on_connect_fail = self._unreached
        client.on_message = self._announce
        client.on_publish = self._published
        client.on_disconnect = self._disconnected
        return client

    def _connected(self, client: Any, _data: object, _flags: object, reason: Any, *_: Any) -> None:
        """Announce ourselves to a broker that takes us; of one that refuses say so."""
        self._is_refused = bool(reason.is_failure)
        if self._is_refused:
            advice = f"check USER and {PASSWORD_VARIABLE}"
            self._trouble.begins("refusal", f"mqtt: {self._where} refuses: {reason}: {advice}")
        else:
            self._trouble.is_over(f"mqtt: connected to {self._where}")
            self._announce(client)
        self._answered.set()

    def _unreached(self, *_told: object) -> None:
        if not self._is_closing:
            self._trouble.begins("link", f"mqtt: cannot reach {self._where}: trying again")
        self._answered.set()

    def _disconnected(self, *_told: object) -> None:
        """Say that the connection has gone, unless the broker has said why or we have ended it."""
        if not self._is_closing and not self._is_refused:
            self._trouble.begins("link", f"mqtt: lost {self._where}: trying again")
        self._is_refused = False
        self._drop_unsent()

    def _announce(self, client: Any, *_told: object) -> None:
        """Describe the sensors: to a broker that may have forgotten, or a new Home Assistant."""
        client.subscribe(f"{DISCOVERY}/status")
        for topic, content in discovery(self._broker.node, self._base, self._labels):
            client.publish(topic, json.dumps(content), qos=1, retain=True)
        client.publish(f"{self._base}/status", "online", qos=1, retain=True)

    def _published(self, *_told: object) -> None:
        with self._lock:
            self._unsent = max(0, self._unsent - 1)

    def _drop_unsent(self) -> None:
        """Count what a broken connection took along: the client does not send it again."""
        with self._lock:
            self.dropped += self._unsent
            self._unsent = 0


def discovery(
    node: str, base: str, labels: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield topic and content of every sensor's description, as Home Assistant wants them.

    See home-assistant.io/integrations/mqtt, "MQTT discovery".
    """
    device = {"identifiers": [f"rt-ser-{node}"], "name": node, "model": "rt-ser",
              "manufacturer": "rt-ser"}  # fmt: skip
    heard = "value_json.state in ('speech', 'unsure')"
    label = "{{ value_json.label or 'none' }}"
    turn = "{{ value_json.label }}"
    sensors: dict[str, dict[str, object]] = {
        "emotion": {"name": "Emotion", "value_template": label, "icon": "mdi:emoticon-outline",
                    "device_class": "enum", "options": [*labels, "none"]},
        "state": {"name": "State", "value_template": "{{ value_json.state }}",
                  "device_class": "enum", "options": [str(state) for state in State],
                  "icon": "mdi:ear-hearing"},
        "confidence": {"name": "Confidence", "unit_of_measurement": "%", "icon": "mdi:percent",
                       "value_template": "{{ (100 * value_json.confidence) | round }}"},
        "valence": {"name": "Valence", "value_template": "{{ value_json.valence | round(2) }}",
                    "state_class": "measurement", "icon": "mdi:thumbs-up-down"},
        "arousal": {"name": "Arousal", "value_template": "{{ value_json.arousal | round(2) }}",
                    "state_class": "measurement", "icon": "mdi:pulse"},
        "turn": {"name": "Last turn", "value_template": turn, "icon": "mdi:account-voice",
                 "device_class": "enum", "options": [*labels],
                 "state_topic": f"{base}/utterance",
                 "json_attributes_topic": f"{base}/utterance"},
    }  # fmt: skip
    for name, sensor in sensors.items():
        yield f"{DISCOVERY}/sensor/{node}/{name}/config", {
            "state_topic": f"{base}/estimate",
            **sensor,
            "unique_id": f"rt-ser-{node}-{name}",
            "availability_topic": f"{base}/status",
            "device": device,
        }
    yield f"{DISCOVERY}/binary_sensor/{node}/speech/config", {
        "name": "Speech",
        "device_class": "sound",
        "state_topic": f"{base}/estimate",
        "value_template": "{{ 'ON' if " + heard + " else 'OFF' }}",
        "unique_id": f"rt-ser-{node}-speech",
        "availability_topic": f"{base}/status",
        "device": device,
    }
