"""MQTT against a real mosquitto, Wyoming against a real socket; neither is ever waited for."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rt_ser.errors import OutputError
from rt_ser.outputs.background import MAX_QUEUE, BackgroundSink
from rt_ser.outputs.events import EventStream
from rt_ser.outputs.mqtt import MAX_UNSENT, MqttSink, broker, discovery
from rt_ser.outputs.sink import Event, LossySink
from rt_ser.outputs.wyoming import WyomingSink, address
from rt_ser.testing import FAKE_MANIFEST, LABELS
from tests.program import run, told
from tests.views import estimate

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


def event(seq: int = 0) -> Event:
    told = EventStream("USB microphone", FAKE_MANIFEST, live=True).of(estimate())[-1]
    return {**told, "seq": seq}


def eventually(holds: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# MQTT -------------------------------------------------------------------------------------


class Mosquitto:
    """A real broker that can be stopped and started again on the same port."""

    def __init__(self, folder: Path, *, access: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"user root\nlistener {self.port} 127.0.0.1\n{access}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(self._config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(self._is_up)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _is_up(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """A subscriber to everything, with what it has heard by topic."""

    def __init__(self, port: int) -> None:
        paho: Any = pytest.importorskip("paho.mqtt.client")
        self.heard: list[tuple[str, str, bool]] = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        subscribed = threading.Event()
        self._client.on_connect = lambda client, *_told: client.subscribe("#")
        self._client.on_subscribe = lambda *_told: subscribed.set()
        self._client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, message.payload.decode(), message.retain)
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert subscribed.wait(10.0), "the broker does not answer"

    def on(self, topic: str) -> list[str]:
        return [payload for name, payload, _ in self.heard if name == topic]

    def publish(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    if MOSQUITTO is None:
        pytest.skip("no MQTT broker: sudo apt-get install mosquitto")
    pytest.importorskip("paho.mqtt.client", reason="pip install 'rt-ser[mqtt]'")
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def listener(mosquitto: Mosquitto) -> Iterator[Listener]:
    client = Listener(mosquitto.port)
    yield client
    client.close()


def sink_to(mosquitto: Mosquitto) -> MqttSink:
    return MqttSink(f"mqtt://127.0.0.1:{mosquitto.port}/hall", labels=LABELS)


def test_events_reach_whoever_subscribes(mosquitto: Mosquitto, listener: Listener) -> None:
    sink = sink_to(mosquitto)
    for seq in range(50):
        sink.write(event(seq))
    eventually(lambda: len(listener.on("rt-ser/hall/estimate")) == 50)
    sink.close()
    told = [json.loads(payload) for payload in listener.on("rt-ser/hall/estimate")]
    assert told == [event(seq) | {"time": told[seq]["time"],
                                  "monotonic_s": told[seq]["monotonic_s"]}
                    for seq in range(50)]  # fmt: skip
    assert sink.dropped == 0
    eventually(lambda: listener.on("rt-ser/hall/status")[-1:] == ["offline"])
    assert listener.on("rt-ser/hall/status")[0] == "online"


def test_home_assistant_finds_the_sensors(mosquitto: Mosquitto) -> None:
    sink = sink_to(mosquitto)
    late = Listener(mosquitto.port)
    wanted = dict(discovery("hall", "rt-ser/hall", LABELS))
    eventually(lambda: all(late.on(topic) for topic in wanted))
    for topic, content in wanted.items():
        assert json.loads(late.on(topic)[-1]) == content
        assert topic.split("/")[0] == "homeassistant"
        assert topic.endswith("/config")
    assert late.on("rt-ser/hall/estimate") == []
    late.publish("homeassistant/status", "online")
    eventually(lambda: all(len(late.on(topic)) > 1 for topic in wanted))
    late.close()
    sink.close()


def test_a_mood_is_not_retained(mosquitto: Mosquitto, listener: Listener) -> None:
    sink = sink_to(mosquitto)
    sink.write(event())
    eventually(lambda: listener.on("rt-ser/hall/estimate"))
    late = Listener(mosquitto.port)
    eventually(lambda: late.on("rt-ser/hall/status"))
    time.sleep(0.2)
    assert late.on("rt-ser/hall/estimate") == []
    late.close()
    sink.close()


def test_it_comes_back_with_the_broker_and_never_waits(mosquitto: Mosquitto) -> None:
    sink = sink_to(mosquitto)
    mosquitto.stop()
    slowest = 0.0
    for seq in range(1_000):
        began = time.monotonic()
        sink.write(event(seq))
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1.0  # waiting would take seconds
    assert sink.dropped >= 1_000 - MAX_UNSENT
    mosquitto.start()
    listener = Listener(mosquitto.port)
    eventually(lambda: listener.on("rt-ser/hall/status")[-1:] == ["online"], 20.0)
    sink.write(event(7))
    eventually(lambda: listener.on("rt-ser/hall/estimate"))
    assert json.loads(listener.on("rt-ser/hall/estimate")[-1])["seq"] == 7
    listener.close()
    sink.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets nobody in but Anna."""
    maker = shutil.which("mosquitto_passwd")
    if MOSQUITTO is None or maker is None:
        pytest.skip("no MQTT broker: sudo apt-get install mosquitto")
    pytest.importorskip("paho.mqtt.client", reason="pip install 'rt-ser[mqtt]'")
    users = tmp_path / "users"
    subprocess.run([maker, "-b", "-c", str(users), "anna", "right"], check=True)
    server = Mosquitto(tmp_path, access=f"allow_anonymous false\npassword_file {users}")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(("password", "dropped"), [("right", 0), ("s3cret", 1)])
def test_a_broker_may_ask_who_it_is(
    password: str,
    dropped: int,
    guarded: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "rt_ser")
    monkeypatch.setenv("MQTT_PASSWORD", password)
    sink = MqttSink(f"mqtt://anna@127.0.0.1:{guarded.port}", labels=LABELS)
    sink.write(event())
    if dropped:
        time.sleep(2.5)  # it has tried again by then, and is still silent about it
    sink.close()
    assert sink.dropped == dropped
    where = f"127.0.0.1:{guarded.port}"
    said = f"mqtt: {where} refuses: Not authorized: check USER and MQTT_PASSWORD"
    assert caplog.messages == [said] * dropped
    assert "s3cret" not in caplog.text


def test_a_broker_that_refuses_is_told_of_on_the_command_line(
    guarded: Mosquitto, recording: Path, tmp_path: Path
) -> None:
    address = f"mqtt://anna@127.0.0.1:{guarded.port}"
    done = run("replay", "talk.wav", "--quiet", "--mqtt", address, home=tmp_path,
               MQTT_PASSWORD="s3cret")  # fmt: skip
    assert done.returncode == 0
    refusal, note = told(done)
    assert refusal == (
        f"rt-ser: warning: mqtt: 127.0.0.1:{guarded.port} refuses: Not authorized: "
        "check USER and MQTT_PASSWORD"
    )
    assert note.startswith("rt-ser: note: mqtt: ")
    assert note.endswith(" events could not be sent")


def test_trouble_with_a_broker_is_told_once_and_its_end(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rt_ser")
    where = f"127.0.0.1:{mosquitto.port}"
    mosquitto.stop()
    sink = sink_to(mosquitto)
    assert caplog.messages == [f"mqtt: cannot reach {where}: trying again"]
    time.sleep(1.5)
    mosquitto.start()
    eventually(lambda: caplog.messages[1:] == [f"mqtt: connected to {where}"], 20.0)
    mosquitto.stop()
    eventually(lambda: caplog.messages[2:] == [f"mqtt: lost {where}: trying again"])
    time.sleep(2.5)
    mosquitto.start()
    eventually(lambda: caplog.messages[3:] == [f"mqtt: connected to {where}"], 20.0)
    sink.close()
    assert len(caplog.messages) == 4
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "INFO"] * 2


def test_without_a_broker_nothing_waits() -> None:
    pytest.importorskip("paho.mqtt.client", reason="pip install 'rt-ser[mqtt]'")
    began = time.monotonic()
    sink = MqttSink(f"mqtt://127.0.0.1:{free_port()}", labels=LABELS)
    sink.write(event())
    sink.close()
    assert time.monotonic() - began < 5.0
    assert sink.dropped == 1
    assert isinstance(sink, LossySink)


def test_addresses_of_brokers() -> None:
    environ = {"MQTT_PASSWORD": "secret"}
    found = broker("mqtts://anna@example.org/hall", environ=environ)
    assert (found.host, found.port, found.tls) == ("example.org", 8883, True)
    assert (found.user, found.password, found.node) == ("anna", "secret", "hall")
    assert broker("mqtt://localhost").port == 1883
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("localhost", "no MQTT address: 'localhost': give mqtt://[USER@]HOST[:PORT][/NODE], or "
         "mqtts:// for TLS"),
        ("mqtt://h:port", "no MQTT address: 'mqtt://h:port': give mqtt://[USER@]HOST[:PORT]"
         "[/NODE], or mqtts:// for TLS"),
        ("mqtt://a..b", "no MQTT address: 'mqtt://a..b': give mqtt://[USER@]HOST[:PORT][/NODE], or "
         "mqtts:// for TLS"),
        ("mqtt://[abc", "no MQTT address: 'mqtt://[abc': give mqtt://[USER@]HOST[:PORT][/NODE], or "
         "mqtts:// for TLS"),
        ("mqtt://h/a/b", "node 'a/b' must be letters, digits, - and _: give mqtt://[USER@]HOST"
         "[:PORT][/NODE], or mqtts:// for TLS"),
        ("mqtt://me:1234@h", "a password in an address is seen by everybody: set MQTT_PASSWORD"),
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_broker(uri: str, message: str) -> None:
    with pytest.raises(OutputError) as caught:
        broker(uri)
    assert str(caught.value) == message


# Wyoming ----------------------------------------------------------------------------------


class WyomingServer:
    """Takes connections one after the other and reads events as wyoming does."""

    def __init__(self, port: int = 0) -> None:
        self.events: list[Any] = []
        self.connections = 0
        self._reader: Any = pytest.importorskip("wyoming.event", reason="rt-ser[wyoming]")
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = int(self._server.getsockname()[1])
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                held, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._held.append(held)
            with held, held.makefile("rb") as stream:
                try:
                    while (told := self._reader.read_event(stream)) is not None:
                        self.events.append(told)
                except OSError:
                    continue

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for held in self._held:
            held.close()
        self._thread.join(5.0)

    def hang_up(self) -> None:
        self._held[-1].shutdown(socket.SHUT_RDWR)


def test_events_become_wyoming_user_events() -> None:
    server = WyomingServer()
    sink = WyomingSink(f"tcp://127.0.0.1:{server.port}")
    sent = [event(seq) for seq in range(20)]
    for one in sent:
        sink.write(one)
    sink.close()
    eventually(lambda: len(server.events) == 20)
    server.close()
    assert {told.type for told in server.events} == {"user-event"}
    assert [told.data["name"] for told in server.events] == ["rt-ser-estimate"] * 20
    assert [told.data["data"] for told in server.events] == sent
    user_event: Any = pytest.importorskip("wyoming.user_event", reason="wyoming before 1.8")
    assert user_event.UserEvent.from_event(server.events[0]).data == sent[0]


def test_a_name_that_is_no_utf_8_reaches_wyoming() -> None:
    server = WyomingServer()
    sink = WyomingSink(f"tcp://127.0.0.1:{server.port}")
    sink.write(EventStream("caf\udce9.wav", FAKE_MANIFEST, live=False).of(estimate())[-1])
    sink.close()
    eventually(lambda: server.events)
    server.close()
    assert server.events[0].data["data"]["stream"] == "caf\\udce9.wav"
    assert sink.dropped == 0


def test_wyoming_connects_again() -> None:
    server = WyomingServer()
    sink = WyomingSink(f"tcp://127.0.0.1:{server.port}")
    sink.write(event(0))
    eventually(lambda: server.events)
    server.hang_up()
    for seq in range(1, 40):
        sink.write(event(seq))
        time.sleep(0.01)
    sink.close()
    eventually(lambda: server.events[-1].data["data"]["seq"] == 39)
    assert server.connections >= 2
    server.close()


def test_without_a_server_wyoming_keeps_the_newest() -> None:
    pytest.importorskip("wyoming.event", reason="pip install 'rt-ser[wyoming]'")
    port = free_port()
    sink = WyomingSink(f"tcp://127.0.0.1:{port}")
    began = time.monotonic()
    for seq in range(3 * MAX_QUEUE):
        sink.write(event(seq))
    assert time.monotonic() - began < 1.0
    server = WyomingServer(port)
    eventually(lambda: len(server.events) >= MAX_QUEUE)
    sink.close()
    server.close()
    assert server.events[-1].data["data"]["seq"] == 3 * MAX_QUEUE - 1
    assert sink.dropped >= 2 * MAX_QUEUE - 1


@pytest.mark.parametrize(
    "uri",
    ["host:10700", "tcp://h", "tcp://h:x", "unix://a", "http://h:1", f"tcp://{64 * 'h'}:1", "tcp://[abc"],
)
def test_what_is_no_wyoming_address(uri: str) -> None:
    with pytest.raises(OutputError, match=r"no Wyoming address: .*: give tcp://HOST"):
        address(uri)


def test_wyoming_addresses() -> None:
    assert address("tcp://pi.local:10700") == ("pi.local", 10700)
    assert address("unix:///run/rt-ser.sock") == "/run/rt-ser.sock"


class Unreachable(BackgroundSink):
    """An output whose server never answers."""

    def connect(self) -> None:
        raise ConnectionRefusedError("nobody there")

    def disconnect(self) -> None:
        """Nothing to close."""


class Picky(BackgroundSink):
    """An output that cannot send every event, and whose server is away at first."""

    def __init__(self) -> None:
        self.sent: list[object] = []
        self.tries = 0
        super().__init__("picky")

    def connect(self) -> None:
        self.tries += 1
        if self.tries < 3:
            raise ConnectionRefusedError(111, "Connection refused")

    def send(self, event: Event) -> None:
        if event["seq"] in (1, 2):
            raise UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed")
        self.sent.append(event["seq"])

    def disconnect(self) -> None:
        """Nothing to close."""


def test_an_event_that_cannot_be_sent_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rt_ser")
    sink = Picky()
    for seq in range(5):
        sink.write(event(seq))
    eventually(lambda: sink.sent == [0, 3, 4])
    sink.close()
    assert sink.dropped == 2
    assert caplog.messages == [
        "picky: Connection refused: trying again",
        "picky: connected again",
        "picky: an event cannot be sent: 'utf-8' codec can't encode character '\\udce9' in "
        "position 0: surrogates not allowed",
    ]


def test_what_is_no_address_is_told_before_anything_is_written(
    recording: Path, tmp_path: Path
) -> None:
    done = run("replay", "talk.wav", "--quiet", "--jsonl", "out.jsonl", "--mqtt", "mqtt://[abc",
               home=tmp_path)  # fmt: skip
    assert done.returncode == 6
    (line,) = told(done)
    assert line.startswith("rt-ser: no MQTT address: 'mqtt://[abc': ")
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_closing_what_never_connected_takes_no_longer_than_it_may() -> None:
    sink = Unreachable("nowhere")
    sink.write(event())
    began = time.monotonic()
    sink.close()
    sink.close()
    assert time.monotonic() - began < 4.0
    assert sink.dropped == 1, "what was never sent is told of"
