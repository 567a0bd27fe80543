"""Digest, both sides (RFC 7616, RFC 8760, RFC 3261 section 22)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from sip.digest import (
    ALGORITHMS,
    FAILED,
    NONCES_KEPT,
    OK,
    REPLAYED,
    STALE,
    Credentials,
    DigestClient,
    DigestServer,
    Verdict,
    ha1,
    read_auth,
)
from sip.errors import SipError
from sip.ids import Ids

REALM = "softswitch"
URI = "sip:127.0.0.1:5060"
ALICE = Credentials("alice", "open sesame")
USERS = {"alice": {name: ha1("alice", REALM, "open sesame", name) for name in ALGORITHMS}}


def server(**changes: object) -> DigestServer:
    arguments: dict[str, object] = {"realm": REALM, "secret": b"0123456789abcdef"} | changes
    return DigestServer(**arguments)  # type: ignore[arg-type]


def verify(
    digest: DigestServer, header: str, now: float = 10.0, method: str = "REGISTER", uri: str = URI, body: bytes = b""
) -> Verdict:
    return digest.verify(header, method, uri, USERS.get, now, body)


def challenges(digest: DigestServer, now: float = 10.0, name: str = "WWW-Authenticate") -> list[tuple[str, str]]:
    return [(name, value) for value in digest.challenge(now)]


def answer(
    client: DigestClient,
    offered: list[tuple[str, str]],
    credentials: Credentials = ALICE,
    method: str = "REGISTER",
    uri: str = URI,
    body: bytes = b"",
) -> str:
    header = client.answer(offered, method, uri, credentials, body)
    assert header is not None
    return header[1]


class TestTogether:
    def test_the_right_password_once(self) -> None:
        digest, client = server(), DigestClient(Ids(1))
        header = answer(client, challenges(digest))
        assert verify(digest, header) == OK("alice")
        assert verify(digest, header) is REPLAYED

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_each_algorithm_alone(self, algorithm: str) -> None:
        digest = server(algorithms=(algorithm,))
        offered = challenges(digest)
        assert len(offered) == 1
        header = answer(DigestClient(Ids(1)), offered)
        assert f"algorithm={algorithm}" in header
        assert verify(digest, header) == OK("alice")

    def test_rfc_8760_sha_256_is_offered_first_and_chosen(self) -> None:
        offered = challenges(server())
        assert ["SHA-256" in offered[0][1], "MD5" in offered[1][1]] == [True, True]
        assert "algorithm=SHA-256" in answer(DigestClient(Ids(1)), offered)
        assert "algorithm=SHA-256" in answer(DigestClient(Ids(1)), offered[::-1])
        assert "MD5" in server(algorithms=("MD5", "SHA-256")).challenge(1.0)[0]

    def test_an_algorithm_that_is_not_offered_is_not_taken(self) -> None:
        header = answer(DigestClient(Ids(1)), challenges(server(algorithms=("MD5",))))
        assert verify(server(algorithms=("SHA-256",)), header) is FAILED

    def test_the_nonce_serves_further_requests_with_a_growing_count(self) -> None:
        digest, client = server(), DigestClient(Ids(1))
        assert verify(digest, answer(client, challenges(digest))) == OK("alice")
        for count in range(2, 200):
            again = client.again("REGISTER", URI, ALICE)
            assert again is not None
            assert f"nc={count:08x}" in again[1]
            assert verify(digest, again[1]) == OK("alice")
            assert verify(digest, again[1]) is REPLAYED

    def test_counts_that_overtake_each_other_are_taken_once_each(self) -> None:
        digest, client = server(), DigestClient(Ids(1))
        headers = [answer(client, challenges(digest))]
        for _ in range(99):
            again = client.again("REGISTER", URI, ALICE)
            assert again is not None
            headers.append(again[1])
        for i in (5, 3, 4, 0, 60):
            assert verify(digest, headers[i]) == OK("alice")
            assert verify(digest, headers[i]) is REPLAYED
        assert verify(digest, headers[1]) == OK("alice")
        assert verify(digest, headers[99]) == OK("alice")
        # More than 63 below the highest: nobody knows any more, so refused.
        assert verify(digest, headers[20]) is REPLAYED
        assert verify(digest, headers[40]) == OK("alice")

    def test_a_stranger_cannot_use_up_counts(self) -> None:
        digest, client = server(), DigestClient(Ids(1))
        header = answer(client, challenges(digest))
        wrong = header.replace('response="', 'response="0')[:-1]
        assert verify(digest, wrong) is FAILED
        assert verify(digest, header) == OK("alice")

    def test_challenges_of_the_same_instant_have_nonces_of_their_own(self) -> None:
        digest = server()
        for _ in range(5):
            header = answer(DigestClient(Ids(1)), challenges(digest))
            assert verify(digest, header) == OK("alice")

    def test_rfc_7616_3_4_6_bound_to_method_and_uri(self) -> None:
        digest = server()

        def fresh() -> str:
            return answer(DigestClient(Ids(1)), challenges(digest), uri="sip:bob@127.0.0.1:5060", method="INVITE")

        assert verify(digest, fresh(), method="INVITE", uri="sip:bob@127.0.0.1:5060") == OK("alice")
        assert verify(digest, fresh(), method="REGISTER", uri="sip:bob@127.0.0.1:5060") is FAILED
        for uri in (
            "sip:carol@127.0.0.1:5060",
            "sip:bob@127.0.0.2:5060",
            "sip:bob@127.0.0.1:5070",
            "sips:bob@127.0.0.1:5060",
            "sip:Bob@127.0.0.1:5060",
            "sip:127.0.0.1:5060",
            "tel:+1201",
            "not a uri",
        ):
            assert verify(digest, fresh(), method="INVITE", uri=uri) is FAILED
        forged = fresh().replace('uri="sip:bob@', 'uri="sip:carol@')
        assert verify(digest, forged, method="INVITE", uri="sip:carol@127.0.0.1:5060") is FAILED

    @pytest.mark.parametrize(
        "uri", ["sip:bob@127.0.0.1", "sip:b%6Fb@127.0.0.1:5060", "sip:bob@127.0.0.1:5060;transport=tcp"]
    )
    def test_equivalent_uris_are_the_same(self, uri: str) -> None:
        digest = server()
        header = answer(DigestClient(Ids(1)), challenges(digest), uri=uri)
        assert verify(digest, header, uri="sip:bob@127.0.0.1:5060") == OK("alice")

    def test_other_schemes_compare_as_they_are(self) -> None:
        digest = server()
        header = answer(DigestClient(Ids(1)), challenges(digest), uri="tel:+1201")
        assert verify(digest, header, uri="TEL:+1201") == OK("alice")
        assert verify(digest, header, uri="tel:+1202") is FAILED

    def test_a_digest_uri_without_user_covers_its_host_and_port_unless_told_otherwise(self) -> None:
        for lenient in (True, False):
            digest = server(userless_uri=lenient)
            header = answer(DigestClient(Ids(1)), challenges(digest), uri="sip:127.0.0.1:5060")
            assert verify(digest, header, uri="sip:bob@127.0.0.2:5060") is FAILED
            wanted = OK("alice") if lenient else FAILED
            assert verify(digest, header, uri="sip:bob@127.0.0.1:5060") == wanted

    def test_rfc_7616_3_4_3_auth_int_binds_the_body(self) -> None:
        digest = server()
        offered = [(name, value.replace('"auth"', '"auth-int"')) for name, value in challenges(digest)]
        header = answer(DigestClient(Ids(1)), offered, body=b"v=0\r\n")
        assert "qop=auth-int" in header
        assert verify(digest, header, body=b"v=1\r\n") is FAILED
        assert verify(digest, header, body=b"v=0\r\n") == OK("alice")


class TestServer:
    def test_threat_1_an_old_nonce_is_stale(self) -> None:
        digest = server(nonce_lifetime=60.0)
        header = answer(DigestClient(Ids(1)), challenges(digest, 10.0))
        assert verify(digest, header, 70.5) is STALE
        assert verify(digest, header.replace("alice", "bob"), 69.0) is FAILED
        assert verify(digest, header, 69.0) == OK("alice")
        # Replay after its life
        assert verify(digest, header, 80.0) is STALE
        assert all(value.endswith(", stale=true") for value in digest.challenge(80.0, stale=True))
        assert not any("stale" in value for value in digest.challenge(80.0))

    def test_under_a_nonce_that_does_not_hold_no_password_is_looked_at(self) -> None:
        # Whoever forges packets under another's address can't have a nonce of ours: they must not count as failures.
        asked: list[str] = []
        digest = server(nonce_lifetime=60.0)
        old = answer(DigestClient(Ids(1)), challenges(digest, 10.0))
        foreign = answer(DigestClient(Ids(1)), challenges(DigestServer("softswitch", b"another secret, as long"), 70.0))
        for header in (old, foreign):
            assert digest.verify(header, "REGISTER", URI, asked.append, 70.5) is STALE
        assert asked == []

    def test_nonces_of_the_future_and_of_another_secret_are_stale(self) -> None:
        # RFC 7616 3.3: stale tells a client that knows the password to ask its user nothing.
        digest = server()
        assert verify(digest, answer(DigestClient(Ids(1)), challenges(digest, 100.0)), 10.0) is STALE
        other = server(secret=b"another secret of 16 bytes")
        assert verify(digest, answer(DigestClient(Ids(1)), challenges(other))) is STALE

    @pytest.mark.parametrize("nonce", ["", "x", "é" * 40, "0" * 40, "g" * 40, "0" * 10_000])
    def test_nonces_that_were_never_ours_are_stale(self, nonce: str) -> None:
        offered = [("WWW-Authenticate", f'Digest realm="{REALM}", nonce="{nonce}", qop="auth"')]
        assert verify(server(), answer(DigestClient(Ids(1)), offered)) is STALE

    def test_a_changed_nonce_is_not_ours(self) -> None:
        digest = server()
        for at in range(40):
            name, value = challenges(digest)[0]
            start = value.index('nonce="') + 7 + at
            changed = value[:start] + ("1" if value[start] != "1" else "2") + value[start + 1 :]
            assert verify(digest, answer(DigestClient(Ids(1)), [(name, changed)])) is STALE

    def test_wrong_passwords_and_unknown_users_fail_alike(self) -> None:
        digest = server()
        for wrong in (Credentials("alice", "closed"), Credentials("mallory", "open sesame"), Credentials("", "")):
            assert verify(digest, answer(DigestClient(Ids(1)), challenges(digest), wrong)) is FAILED

    def test_threat_4_the_unknown_are_checked_like_the_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hashed: list[int] = []

        def counting(data: bytes) -> object:
            hashed.append(len(data))
            return hashlib.sha256(data)

        monkeypatch.setitem(__import__("sip.digest", fromlist=["_HASHES"])._HASHES, "SHA-256", counting)
        digest = server()
        seen = []
        for user in ("alice", "mario"):
            header = answer(DigestClient(Ids(1)), challenges(digest), Credentials(user, "wrong password"))
            hashed.clear()
            assert verify(digest, header) is FAILED
            seen.append(tuple(hashed))
        assert seen[0] == seen[1] != ()

    def test_the_stand_in_for_unknown_users_opens_no_door(self) -> None:
        digest = server()
        nonce = read_auth(digest.challenge(10.0)[0])[1]["nonce"]

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        response = md5(f"{'0' * 32}:{nonce}:00000001:c:auth:{md5('REGISTER:' + URI)}")
        header = (
            f'Digest username="mallory", realm="{REALM}", nonce="{nonce}", uri="{URI}", response="{response}", '
            f"algorithm=MD5, qop=auth, nc=00000001, cnonce=c"
        )
        assert verify(digest, header) is FAILED

    def test_a_user_without_ha1_of_that_algorithm_fails(self) -> None:
        digest = server()
        header = answer(DigestClient(Ids(1)), challenges(digest))
        some: Mapping[str, str] = {"MD5": USERS["alice"]["MD5"]}
        assert digest.verify(header, "REGISTER", URI, lambda user: some, 10.0) is FAILED

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("Digest ", "Basic "),
            ("Digest ", ""),
            ('realm="softswitch"', 'realm="other"'),
            ('realm="softswitch", ', ""),
            ("qop=auth, ", ""),
            ("qop=auth", "qop=auth-conf"),
            ("nc=00000001", "nc=1"),
            ("nc=00000001", "nc=0000000g"),
            ("nc=00000001", "nc=000000011"),
            ("nc=00000001", "nc=-0000001"),
            ("nc=00000001, ", ""),
            ("algorithm=SHA-256", "algorithm=MD5"),
            ("algorithm=SHA-256", "algorithm=SHA-256-sess"),
            ("algorithm=SHA-256, ", ""),
            ('username="alice"', 'username="al"ice"'),
            ('username="alice"', "username"),
            ('username="alice", ', ""),
            ("cnonce=", "c="),
            ("response=", "x="),
            ("uri=", "x="),
        ],
    )
    def test_what_is_missing_or_malformed_fails(self, old: str, new: str) -> None:
        digest = server()
        header = answer(DigestClient(Ids(1)), challenges(digest))
        assert old in header
        assert verify(digest, header.replace(old, new)) is FAILED
        assert verify(digest, header) == OK("alice")

    def test_a_count_of_zero_is_refused(self) -> None:
        digest = server()
        _, params = read_auth(digest.challenge(10.0)[1])
        for known in (False, True):
            if known:
                assert verify(digest, self.by_hand(params["nonce"], "00000001")) == OK("alice")
            assert verify(digest, self.by_hand(params["nonce"], "00000000")) is REPLAYED

    def test_the_largest_count_is_taken_and_all_far_below_are_gone(self) -> None:
        digest = server()
        nonce = read_auth(digest.challenge(10.0)[1])[1]["nonce"]
        assert verify(digest, self.by_hand(nonce, "ffffffff")) == OK("alice")
        assert verify(digest, self.by_hand(nonce, "FFFFFFFF")) is REPLAYED
        assert verify(digest, self.by_hand(nonce, "00000001")) is REPLAYED
        assert verify(digest, self.by_hand(nonce, "fffffff0")) == OK("alice")

    @staticmethod
    def by_hand(nonce: str, count: str, end: str = "") -> str:
        """Credentials as SIPp writes them: MD5, unspaced."""
        second = hashlib.md5(f"REGISTER:{URI}".encode()).hexdigest()
        response = hashlib.md5(f"{USERS['alice']['MD5']}:{nonce}:{count}:6b8b4567:auth:{second}".encode()).hexdigest()
        return (
            f'Digest username="alice",realm="{REALM}",cnonce="6b8b4567",nc={count},qop=auth,uri="{URI}",'
            f'nonce="{nonce}",response="{response}"{end}'
        )

    @pytest.mark.parametrize("end", ["", ",algorithm=MD5", ',algorithm="MD5"', ", algorithm=md5"])
    def test_md5_without_algorithm_or_in_any_spelling(self, end: str) -> None:
        # RFC 7616 3.4: "algorithm ... If this is not present, it is assumed to be "MD5"."
        digest = server()
        nonce = read_auth(digest.challenge(10.0)[1])[1]["nonce"]
        assert verify(digest, self.by_hand(nonce, "00000001", end)) == OK("alice")

    def test_the_table_of_counts_is_bounded_and_forgets_no_count(self) -> None:
        digest = server(nonce_lifetime=1e6)
        first = answer(DigestClient(Ids(1)), challenges(digest, 0.0))
        unused = answer(DigestClient(Ids(1)), challenges(digest, 0.0))
        assert verify(digest, first, 0.0) == OK("alice")
        client = DigestClient(Ids(2))
        for n in range(NONCES_KEPT):
            assert verify(digest, answer(client, challenges(digest, 1.0)), 1.0) == OK("alice"), n
        assert len(digest._seen) == NONCES_KEPT
        # Pushed out of the table: stale, never accepted a second time; so is one of its age that is not in it.
        assert verify(digest, first, 1.0) is STALE
        late = challenges(digest, 0.0)
        assert verify(digest, answer(client, late), 1.0) == OK("alice")
        assert verify(digest, unused, 1.0) is STALE

    def test_entries_leave_the_table_with_their_nonces(self) -> None:
        digest, client = server(nonce_lifetime=30.0), DigestClient(Ids(1))
        for second in range(1_000):
            header = answer(client, challenges(digest, float(second)))
            assert verify(digest, header, float(second)) == OK("alice")
        assert len(digest._seen) < 40

    def test_bad_settings_are_ours(self) -> None:
        for wrong in ({"secret": b"short"}, {"algorithms": ()}, {"algorithms": ("SHA-1",)}):
            with pytest.raises(ValueError, match=r"."):
                server(**wrong)

    def test_a_realm_is_quoted(self) -> None:
        digest = server(realm='my "realm"')
        assert read_auth(digest.challenge(1.0)[0])[1]["realm"] == 'my "realm"'
        header = answer(DigestClient(Ids(1)), challenges(digest))
        users = {"alice": {name: ha1("alice", 'my "realm"', "open sesame", name) for name in ALGORITHMS}}
        assert digest.verify(header, "REGISTER", URI, users.get, 10.0) == OK("alice")


class TestClient:
    def test_rfc_7616_3_9_1_the_example(self) -> None:
        # The RFC's own numbers, with its cnonce in place of a random one.
        class Fixed(Ids):
            def token(self, n: int) -> str:
                return "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

        for algorithm, response in (
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ):
            challenge = (
                f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
                'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
                'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
            )
            header = DigestClient(Fixed()).answer(
                [("WWW-Authenticate", challenge)], "GET", "/dir/index.html", Credentials("Mufasa", "Circle of Life")
            )
            assert header is not None
            scheme, params = read_auth(header[1])
            assert (header[0], scheme) == ("Authorization", "digest")
            assert params["response"] == response
            assert (params["qop"], params["nc"], params["opaque"]) == (
                "auth",
                "00000001",
                "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
            )
            assert ", qop=auth, nc=00000001, cnonce=" in header[1]

    def test_rfc_2069_servers_without_qop(self) -> None:
        client = DigestClient(Ids(1))
        header = answer(client, [("Proxy-Authenticate", 'Digest realm="r", nonce="n"')], method="INVITE")
        second = hashlib.md5(f"INVITE:{URI}".encode()).hexdigest()
        response = hashlib.md5(f"{ha1('alice', 'r', 'open sesame', 'MD5')}:n:{second}".encode()).hexdigest()
        assert read_auth(header)[1] == {
            "username": "alice",
            "realm": "r",
            "nonce": "n",
            "uri": URI,
            "response": response,
        }
        assert client.again("BYE", URI, ALICE) is None

    def test_the_answers_header_goes_with_the_challenges(self) -> None:
        for name, wanted in (
            ("WWW-Authenticate", "Authorization"),
            ("Proxy-Authenticate", "Proxy-Authorization"),
        ):
            header = DigestClient(Ids(1)).answer(challenges(server(), 1.0, name), "BYE", URI, ALICE)
            assert header is not None
            assert header[0] == wanted

    def test_what_cannot_be_answered(self) -> None:
        client = DigestClient(Ids(1))
        for value in (
            'Basic realm="x"',
            'Digest realm="x"',
            'Digest nonce="x"',
            'Digest realm="x", nonce="y", algorithm=SHA-512-256',
            'Digest realm="x", nonce="y", algorithm=MD5-sess',
            'Digest realm="x", nonce="y", qop="auth-conf"',
            'Digest realm="x',
            "NoOneKnowsThisScheme opaque-data=here",
            "",
        ):
            assert client.answer([("WWW-Authenticate", value), ("X", "y")], "BYE", URI, ALICE) is None
        assert client.again("BYE", URI, ALICE) is None
        client.learn('nextnonce="x"')

    def test_threat_7_credentials_go_to_their_realm_only(self) -> None:
        client = DigestClient(Ids(1))
        trunk = Credentials("alice", "open sesame", "trunk")
        stranger = [("WWW-Authenticate", 'Digest realm="stranger", nonce="n", qop="auth"')]
        ours = [("WWW-Authenticate", 'Digest realm="trunk", nonce="n", qop="auth"')]
        assert client.answer(stranger, "BYE", URI, trunk) is None
        assert client.answer(stranger + ours, "BYE", URI, trunk) is not None

    def test_without_a_realm_the_first_challenge_binds(self) -> None:
        client = DigestClient(Ids(1))
        assert answer(client, [("WWW-Authenticate", 'Digest realm="first", nonce="n", qop="auth"')])
        second = [("WWW-Authenticate", 'Digest realm="second", nonce="n", qop="auth"')]
        assert client.answer(second, "BYE", URI, ALICE) is None
        assert client.again("BYE", URI, ALICE) is not None
        assert client.again("BYE", URI, Credentials("alice", "x", "second")) is None

    def test_counts_grow_with_one_nonce_and_begin_anew_with_another(self) -> None:
        client = DigestClient(Ids(1))

        def count(nonce: str) -> str:
            header = answer(client, [("WWW-Authenticate", f'Digest realm="r", nonce="{nonce}", qop="auth"')])
            return read_auth(header)[1]["nc"]

        assert [count(nonce) for nonce in ("a", "a", "a", "b", "b")] == [
            "00000001",
            "00000002",
            "00000003",
            "00000001",
            "00000002",
        ]

    def test_rfc_7616_3_5_the_next_nonce(self) -> None:
        client = DigestClient(Ids(1))
        answer(client, challenges(server()))
        client.learn('nextnonce="after", qop=auth, rspauth="00", cnonce="x", nc=00000001')
        again = client.again("REGISTER", URI, ALICE)
        assert again is not None
        params = read_auth(again[1])[1]
        assert (params["nonce"], params["nc"]) == ("after", "00000001")
        for nothing in ('nextnonce="after"', "qop=auth", 'nextnonce="'):
            client.learn(nothing)
        again = client.again("REGISTER", URI, ALICE)
        assert again is not None
        assert read_auth(again[1])[1]["nc"] == "00000002"

    def test_names_are_quoted(self) -> None:
        odd = Credentials('a"b\\', "p")
        header = answer(DigestClient(Ids(1)), challenges(server()), odd)
        assert read_auth(header)[1]["username"] == 'a"b\\'


def test_passwords_show_in_no_repr() -> None:
    for shown in (repr(ALICE), str(ALICE), f"{[ALICE]}", str(ALICE.__rich_repr__())):
        assert "open sesame" not in shown
        assert "alice" in shown


def test_ha1_is_the_hash_of_user_realm_and_password() -> None:
    assert ha1("bob", "biloxi.com", "zanzibar", "MD5") == hashlib.md5(b"bob:biloxi.com:zanzibar").hexdigest()
    assert ha1("ü", "r", "ß", "SHA-256") == hashlib.sha256("ü:r:ß".encode()).hexdigest()


class TestReadAuth:
    @pytest.mark.parametrize(
        ("text", "params"),
        [
            ("Digest", {}),
            ('Digest a=b,c="d"', {"a": "b", "c": "d"}),
            ('DIGEST  A = "b" , C=d', {"a": "b", "c": "d"}),
            ('Digest qop="auth,auth-int", x=""', {"qop": "auth,auth-int", "x": ""}),
            (r'Digest realm="a \"b\" \\", n=1', {"realm": 'a "b" \\', "n": "1"}),
            ("Digest username*=UTF-8''x, a=b", {"username*": "UTF-8''x", "a": "b"}),
            ('Digest uri="sip:a=b;c,d@e"', {"uri": "sip:a=b;c,d@e"}),
        ],
    )
    def test_read(self, text: str, params: dict[str, str]) -> None:
        assert read_auth(text) == ("digest", params)

    @pytest.mark.parametrize(
        "text", ['Digest a="b', "Digest a", "Digest a=", 'Digest a="b"c="d"', "Digest =x", "Digest é=1 2"]
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(SipError, match="400 Bad authentication parameter"):
            read_auth(text)
