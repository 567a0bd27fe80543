"""What went over the wire, judged by Wireshark's dissectors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from harness.waiting import wait_for

# PI_ERROR of Wireshark's epan/proto.h: "serious" expert information.
ERROR = "8388608"


class EventPacket(NamedTuple):
    """A packet of a telephone-event (RFC 4733 2.3); `duration` in timestamp units since the event began."""

    source: int  # port
    destination: int
    payload_type: int
    marker: bool
    timestamp: int
    event: int
    end: bool
    duration: int


class Capture:
    """dumpcap on the loopback interface while the context lasts; afterwards `check()`.

    dumpcap leaves what the kernel still holds for it when it is told to end. So a packet of our own ends a capture: all
    that went before it is in the file when it is.
    """

    def __init__(self, file: Path, packets: str) -> None:
        self.file = file
        self._packets = packets
        self._process: subprocess.Popen[bytes] | None = None
        self._last = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._last.bind(("127.0.0.1", 0))

    def __enter__(self) -> Capture:
        log = self.file.with_suffix(".log")
        chosen = f"({self._packets}) or (udp dst port {self._last.getsockname()[1]})"
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                ["dumpcap", "-q", "-i", "lo", "-f", chosen, "-w", str(self.file), "-B", "16"],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        wait_for(lambda: "File:" in log.read_text(errors="replace"), lambda: log.read_text(errors="replace"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process is not None:
            mark = os.urandom(10)  # shorter than RTP: who reads the media does not take it for some
            self._last.sendto(mark, self._last.getsockname())
            wait_for(lambda: mark in self._end_of_file(), "the last packet in the capture")
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)
            self._process = None
        self._last.close()

    def _end_of_file(self) -> bytes:
        with self.file.open("rb") as captured:
            captured.seek(max(0, self.file.stat().st_size - 100_000))
            return captured.read()

    def check(self, sip_port: int, rtp_ports: tuple[int, int]) -> dict[str, int]:
        """Every packet from or to the switch dissects as what it should be. Returns how many there were of each."""
        ports = f"{rtp_ports[0]}-{rtp_ports[1]}"
        decode = ["-d", f"udp.port=={sip_port},sip", "-d", f"tcp.port=={sip_port},sip"]
        for port in range(rtp_ports[0], rtp_ports[1] + 1):
            decode += ["-d", f"udp.port=={port},{'rtcp' if port % 2 else 'rtp'}"]
        fields = ("frame.number", "frame.protocols", "_ws.malformed", "_ws.short", "_ws.expert.severity")
        words = [word for field in fields for word in ("-e", field)]
        counts = {"sip": 0, "rtp": 0, "rtcp": 0}
        wrong = []
        for line in self._tshark(*decode, "-T", "fields", "-E", "separator=;", *words):
            number, protocols, malformed, short, severity = line.split(";")
            for kind in counts:
                counts[kind] += kind in protocols.split(":")
            if malformed or short or ERROR in severity.split(","):
                wrong.append(number)
        assert not wrong, f"Wireshark calls {len(wrong)} packets malformed, on ports {sip_port}, {ports}: {wrong[:5]}"
        return counts

    def profiles(self, sip_port: int) -> set[tuple[str, bool]]:
        """Transport profiles of the audio lines in SDP as Wireshark reads them, each with whether it has keys."""
        decode = ["-d", f"udp.port=={sip_port},sip", "-d", f"tcp.port=={sip_port},sip"]
        words = ["-Y", "sdp.media.proto", "-T", "fields", "-E", "separator=;", "-e", "sdp.media.proto"]
        found = set()
        for line in self._tshark(*decode, *words, "-e", "sdp.crypto.crypto_suite"):
            profile, suites = line.split(";")
            found.add((profile, bool(suites)))
        return found

    def dialog_states(self, sip_port: int) -> list[tuple[str, str]]:
        """Version and first state of the dialog-info in each NOTIFY (repetitions left out), as Wireshark reads them."""
        decode = ["-d", f"udp.port=={sip_port},sip", "-d", f"tcp.port=={sip_port},sip"]
        decode += ["-d", "media_type==application/dialog-info+xml,xml"]
        words = ["-Y", 'sip.Method == "NOTIFY" && xml', "-T", "fields", "-E", "separator=;", "-E", "aggregator=|"]
        found: dict[tuple[str, str], None] = {}
        for line in self._tshark(*decode, *words, "-e", "xml.attribute", "-e", "xml.cdata"):
            attributes, texts = line.split(";")
            version = next(each for each in attributes.split("|") if each.startswith("version="))
            found[version.split('"')[1], texts.split("|")[0]] = None
        return list(found)

    def audio_from(self, ports: range) -> dict[tuple[int, int], list[tuple[float, bytes]]]:
        """The RTP payloads that left these ports, by (port, destination port), each with its time in seconds."""
        streams: dict[tuple[int, int], list[tuple[float, bytes]]] = {}
        fields = ("frame.time_relative", "udp.srcport", "udp.dstport", "udp.payload")
        words = [word for field in fields for word in ("-e", field)]
        chosen = f"udp.srcport >= {ports.start} && udp.srcport < {ports.stop} && udp.length > 20"
        for line in self._tshark("-Y", chosen, "-T", "fields", "-E", "separator=;", *words):
            time, source, destination, payload = line.split(";")
            if int(source) % 2 == 0:  # RTP; RTCP has the odd ports
                packet = bytes.fromhex(payload)
                streams.setdefault((int(source), int(destination)), []).append((float(time), packet[12:]))
        return streams

    def telephone_events(self, ports: range, payload_types: tuple[int, ...]) -> list[EventPacket]:
        """What came to and left these ports as telephone-events of these payload types, in the order of time."""
        fields = ("frame.number", "udp.srcport", "udp.dstport", "rtp.p_type", "rtp.marker", "rtp.timestamp")
        fields += ("rtpevent.event_id", "rtpevent.end_of_event", "rtpevent.duration")
        words = [word for field in fields for word in ("-e", field)]
        words += ["-d", f"udp.port=={ports.start}-{ports.stop - 1},rtp", "-T", "fields", "-E", "separator=;"]
        found: list[tuple[int, EventPacket]] = []
        for payload_type in payload_types:
            # The dissector knows one type by number; the SDP is not in the capture.
            kind = f"rtpevent.event_payload_type_value:{payload_type}"
            chosen = f"rtpevent && rtp.p_type == {payload_type}"
            for line in self._tshark(*words, "-o", kind, "-Y", chosen):
                number, source, destination, type_, marker, *rest = map(int, line.split(";"))
                stamp, event, end, duration = rest
                packet = EventPacket(source, destination, type_, bool(marker), stamp, event, bool(end), duration)
                found.append((number, packet))
        return [packet for _, packet in sorted(found)]

    def requests_for_pictures(self, ports: range) -> dict[int, int]:
        """How many PLI (RFC 4585 6.3.1) came to and left these ports, by the SSRC that is asked."""
        words = ["-d", f"udp.port=={ports.start}-{ports.stop - 1},rtcp", "-Y", "rtcp.psfb.fmt == 1"]
        found: dict[int, int] = {}
        for line in self._tshark(*words, "-T", "fields", "-e", "rtcp.mediassrc"):
            ssrc = int(line, 0)
            found[ssrc] = found.get(ssrc, 0) + 1
        return found

    def rtp_of(self, ports: range) -> dict[tuple[int, int], list[bytes]]:
        """The RTP packets that came to or left these ports, by source and destination port, as they came."""
        words = ["-Y", "udp.length > 20", "-T", "fields", "-E", "separator=;"]
        streams: dict[tuple[int, int], list[bytes]] = {}
        for line in self._tshark(*words, "-e", "udp.srcport", "-e", "udp.dstport", "-e", "udp.payload"):
            source, destination, payload = line.split(";")
            ours = int(source) if int(source) in ports else int(destination)
            if ours in ports and ours % 2 == 0:  # RTP; RTCP has the odd ports
                streams.setdefault((int(source), int(destination)), []).append(bytes.fromhex(payload))
        return streams

    def _tshark(self, *words: str) -> list[str]:
        done = subprocess.run(
            ["tshark", "-n", "-r", str(self.file), *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()
