"""Reading and writing session descriptions (RFC 4566, RFC 8866)."""

import pytest

from media.sdp import (
    MAX_BYTES,
    MAX_LINES,
    MAX_MEDIA,
    MediaDescription,
    NoCommonCodec,
    Origin,
    SdpError,
    connection,
    connection_host,
    parse,
    refused_line,
    section,
)

# RFC 4566 section 5, its own example, with its multicast address made unicast.
EXAMPLE = b"""v=0
o=jdoe 2890844526 2890842807 IN IP4 10.47.16.5
s=SDP Seminar
i=A Seminar on the session description protocol
u=http://www.example.com/seminars/sdp.pdf
e=j.doe@example.com (Jane Doe)
c=IN IP4 192.0.2.17/127
t=2873397496 2873404696
a=recvonly
m=audio 49170 RTP/AVP 0
m=video 51372 RTP/AVP 99
a=rtpmap:99 h263-1998/90000
""".replace(b"\n", b"\r\n")

MINIMAL = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def refusal(data: bytes) -> SdpError:
    with pytest.raises(SdpError) as caught:
        parse(data)
    assert caught.value.reason.isascii()
    assert "\n" not in caught.value.reason
    return caught.value


def test_the_example_of_rfc_4566_section_5_is_read() -> None:
    sd = parse(EXAMPLE)
    assert sd.origin == "jdoe 2890844526 2890842807 IN IP4 10.47.16.5"
    assert sd.name == "SDP Seminar"
    assert sd.host == "192.0.2.17"
    assert sd.timing == "2873397496 2873404696"
    assert sd.attributes == ("recvonly",)
    audio, video = sd.media
    assert (audio.kind, audio.port, audio.proto, audio.formats) == ("audio", 49170, "RTP/AVP", "0")
    assert (video.kind, video.port, video.section.attributes) == ("video", 51372, ("rtpmap:99 h263-1998/90000",))


def test_what_is_written_from_a_description_reads_as_the_same() -> None:
    sd = parse(EXAMPLE)
    assert parse(str(sd).encode("latin-1")) == sd


def test_rfc_4566_section_5_records_may_end_with_a_single_newline() -> None:
    # "parsers SHOULD be tolerant and also accept records terminated with a single newline character."
    assert parse(EXAMPLE.replace(b"\r\n", b"\n")) == parse(EXAMPLE)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n", b"\n\n\n"])
def test_missing_and_empty_last_lines_are_tolerated(end: bytes) -> None:
    assert parse(MINIMAL.rstrip() + end) == parse(MINIMAL)


def test_missing_session_name_and_time_are_tolerated() -> None:
    sd = parse(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n")
    assert (sd.name, sd.timing) == ("-", "0 0")


def test_rfc_4566_section_5_7_a_medium_may_have_its_own_address() -> None:
    sd = parse(MINIMAL + b"c=IN IP6 2001:DB8:0::5\r\na=sendrecv\r\n")
    assert sd.media[0].section.host == "2001:db8::5"
    assert sd.media[0].section.attributes == ("sendrecv",)


def test_rfc_3890_bandwidth_lines_are_ignored_at_both_levels() -> None:
    bandwidth = b"b=TIAS:64000\r\na=maxprate:50.0\r\n"
    sd = parse(MINIMAL.replace(b"t=0 0\r\n", b"b=AS:80\r\nt=0 0\r\n") + bandwidth)
    assert sd.media[0].section.attributes == ("maxprate:50.0",)


def test_free_text_in_any_character_set_is_carried_and_never_fatal() -> None:
    sd = parse(MINIMAL.replace(b"s=-", "s=Gespräch 呼".encode()))
    assert str(sd).encode("latin-1") == MINIMAL.replace(b"s=-", "s=Gespräch 呼".encode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not begin"),
        (b"v=1\r\no=- 1 1 IN IP4 192.0.2.1\r\n", "does not begin"),
        (b"v=0\r\ns=-\r\n", "does not begin"),
        (MINIMAL.replace(b"o=- 1 1 IN IP4 192.0.2.1", b"o=- 1 1"), "malformed o="),
        (MINIMAL.replace(b"t=0 0", b"t=now"), "malformed t="),
        (MINIMAL.replace(b"s=-", b"no equals sign"), "<type>=<value>"),
        (MINIMAL.replace(b"s=-", b""), "<type>=<value>"),
        (MINIMAL + b"garbage\r\n", "<type>=<value>"),
        (MINIMAL.replace(b"c=IN IP4 192.0.2.1", b"c=192.0.2.1"), "malformed c="),
        (MINIMAL.replace(b"c=IN IP4 192.0.2.1", b"c=IN IP4 2001:db8::1"), "does not fit"),
        (MINIMAL.replace(b"c=IN IP4 192.0.2.1", b"c=IN IP6 fe80::1%eth0"), "does not fit"),
        (MINIMAL.replace(b"m=audio 4000 RTP/AVP 0", b"m=audio 4000 RTP/AVP"), "malformed m="),
        (MINIMAL.replace(b"audio 4000", b"audio -1"), "port"),
        (MINIMAL.replace(b"audio 4000", b"audio 65536"), "port"),
        (MINIMAL.replace(b"audio 4000", b"audio 4000/x"), "port"),
        (MINIMAL.replace(b"audio 4000", "audio ٤٠٠٠".encode()), "port"),
        (MINIMAL.replace(b"m=audio", b"m=au(dio"), "malformed m="),
        (MINIMAL.replace(b"RTP/AVP", b"RTP//AVP"), "malformed m="),
    ],
)
def test_a_malformed_description_is_400_and_says_what_is_wrong(data: bytes, reason: str) -> None:
    error = refusal(data)
    assert error.status == 400
    assert reason in error.reason


@pytest.mark.parametrize("address", ["IP4 224.2.36.42/127", "IP4 239.1.1.1", "IP6 ff15::101", "IP4 255.255.255.255"])
def test_an_address_of_many_hosts_is_not_acceptable(address: str) -> None:
    assert refusal(MINIMAL.replace(b"IP4 192.0.2.1\r\nt", address.encode() + b"\r\nt")).status == 488


def test_a_host_name_as_address_is_not_looked_up() -> None:
    error = refusal(MINIMAL.replace(b"c=IN IP4 192.0.2.1", b"c=IN IP4 media.example.com"))
    assert (error.status, error.reason) == (488, "Connection address is not an IP address")


def test_sizes_are_bounded() -> None:
    assert refusal(MINIMAL + b"a=" + b"x" * MAX_BYTES).status == 488
    assert refusal(MINIMAL + b"a=x\r\n" * MAX_LINES).reason == "SDP has too many lines"
    assert refusal(MINIMAL + b"m=video 0 RTP/AVP 31\r\n" * MAX_MEDIA).reason == "SDP has too many media lines"
    assert len(parse(MINIMAL + b"m=video 0 RTP/AVP 31\r\n" * (MAX_MEDIA - 1)).media) == MAX_MEDIA


def test_long_sections_read_like_short_ones() -> None:
    candidates = b"".join(b"a=candidate:%d 1 UDP 2130706431 192.0.2.1 8998 typ host\r\n" % n for n in range(50))
    assert len(parse(MINIMAL + candidates).media[0].section.attributes) == 50
    head = MINIMAL.replace(b"t=0 0\r\n", b"t=0 0\r\n" + candidates)
    assert len(parse(head).attributes) == 50


def test_rfc_4566_section_5_14_a_port_may_have_a_count() -> None:
    assert parse(MINIMAL.replace(b"4000", b"4000/2")).media[0].port == 4000


def test_rfc_3264_section_6_the_refusing_line_has_port_zero_and_a_format() -> None:
    # "To reject an offered stream, the port number in the corresponding stream in the answer MUST be set to
    # zero. Any media formats listed are ignored. At least one MUST be present, as specified by SDP."
    line = refused_line(MediaDescription("video", 51372, "RTP/AVPF", "99 100"))
    assert line == "m=video 0 RTP/AVPF 99\r\n"
    line = refused_line(MediaDescription("message", 7394, "TCP/MSRP", "*"))
    assert line == "m=message 0 TCP/MSRP *\r\n"


def test_a_refused_format_can_smuggle_no_line_into_the_answer() -> None:
    with pytest.raises(SdpError):
        refused_line(MediaDescription("video", 1, "RTP/AVP", "31\ra=evil"))


def test_rfc_3264_section_8_the_version_counts_changes_by_one() -> None:
    origin = Origin(77, 5, "-", "192.0.2.9")
    first = origin.describe("s=-\r\nt=0 0\r\n")
    assert first == b"v=0\r\no=- 77 5 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n"
    # "If the version in the origin line does not increment, the SDP MUST be identical to the SDP with that
    # version."
    assert origin.describe("s=-\r\nt=0 0\r\n") == first
    changed = origin.describe("s=-\r\nt=0 0\r\na=inactive\r\n")
    assert b"o=- 77 6 IN" in changed
    # Going back to an earlier description is a change too.
    assert b"o=- 77 7 IN" in origin.describe("s=-\r\nt=0 0\r\n")


def test_addresses_are_written_with_their_family() -> None:
    assert connection("192.0.2.1") == "IN IP4 192.0.2.1"
    assert connection("2001:db8::1") == "IN IP6 2001:db8::1"
    assert b" IN IP6 2001:db8::1\r\n" in Origin(1, 1, "-", "2001:db8::1").describe("s=-\r\n")
    assert connection_host("IN IP6 2001:DB8::0001") == "2001:db8::1"


def test_no_common_codec_is_488() -> None:
    error = NoCommonCodec()
    assert isinstance(error, SdpError)
    assert (error.status, str(error)) == (488, "No common codec")


def test_an_empty_section_has_nothing() -> None:
    assert section("").attributes == ()
