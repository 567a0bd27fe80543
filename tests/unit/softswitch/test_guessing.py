"""Back-off from password guessing: bounded, fading, and no lock-out of real phones."""

from __future__ import annotations

from softswitch.guessing import MAX_PLACES, MAX_SCORES, Guessing, Scores


def make() -> Guessing:
    return Guessing(source_failures=3.0, user_failures=6.0, fade=0.1)


def test_a_source_is_refused_after_its_failures_and_forgiven_with_time() -> None:
    guessing = make()
    for number in range(3):
        assert guessing.may_try(f"u{number}", "198.51.100.1", 5060, 0.0)
        guessing.failed(f"u{number}", "198.51.100.1", 0.0)
    assert guessing.source_refused("198.51.100.1", 0.0)
    assert not guessing.may_try("u9", "198.51.100.1", 5060, 0.0)
    assert guessing.may_try("u9", "198.51.100.2", 5060, 0.0)
    assert guessing.may_try("u9", "198.51.100.1", 5060, 0.1)
    assert not guessing.source_refused("198.51.100.1", 10.0)


def test_a_user_is_not_tried_from_new_places_after_a_distributed_attack() -> None:
    guessing = make()
    for number in range(6):
        guessing.failed("101", f"198.51.100.{number}", 0.0)
    assert not guessing.may_try("101", "203.0.113.1", 5060, 0.0)
    assert guessing.may_try("102", "203.0.113.1", 5060, 0.0)
    assert guessing.may_try("101", "203.0.113.1", 5060, 20.0)


def test_the_real_phone_at_its_own_address_is_never_locked_out() -> None:
    guessing = make()
    guessing.succeeded("101", "192.0.2.9", 5060)
    for number in range(100):
        guessing.failed("101", f"198.51.100.{number}", 0.0)  # from everywhere
        guessing.failed(f"x{number}", "192.0.2.9", 0.0)  # behind its own NAT
        guessing.failed("101", "192.0.2.9", 0.0)  # at its own user, behind its own NAT
    assert guessing.may_try("101", "192.0.2.9", 5060, 0.0)
    assert not guessing.source_refused("192.0.2.9", 0.0)
    # the neighbour that has never signed in is
    assert not guessing.may_try("102", "192.0.2.9", 5060, 0.0)


def test_at_a_known_host_another_port_has_a_budget_of_its_own() -> None:
    guessing = make()
    guessing.succeeded("101", "192.0.2.9", 5060)
    for number in range(3):
        assert guessing.may_try("101", "192.0.2.9", 40000 + number, 0.0)
        guessing.failed("101", "192.0.2.9", 0.0)
    assert not guessing.may_try("101", "192.0.2.9", 40000, 0.0)
    # and has cost neither the host nor the user anything elsewhere
    assert guessing.may_try("102", "192.0.2.9", 5060, 0.0)
    assert guessing.may_try("101", "203.0.113.1", 5060, 0.0)


def test_a_changed_password_ends_the_privilege() -> None:
    guessing = make()
    guessing.succeeded("101", "192.0.2.9", 5060)
    guessing.succeeded("101", "192.0.2.9", 5061)
    guessing.forget_user("101")
    for _ in range(3):
        guessing.failed("x", "192.0.2.9", 0.0)
    assert guessing.source_refused("192.0.2.9", 0.0)
    assert not guessing.may_try("101", "192.0.2.9", 5060, 0.0)


def test_a_failure_says_what_it_has_filled() -> None:
    guessing = Guessing(2, 3, 0.1)
    assert [guessing.failed("101", "a", 0.0) for _ in range(3)] == [[], ["source"], ["user"]]
    assert guessing.failed("101", "a", 0.0) == []
    guessing.succeeded("102", "a", 1)
    assert [guessing.failed("102", "a", 0.0) for _ in range(2)] == [[], ["user at source"]]


def test_tables_are_bounded() -> None:
    scores = Scores(0.1)
    for number in range(MAX_SCORES + 5000):
        scores.add(str(number), 0.0)
    assert MAX_SCORES * 0.85 <= len(scores) <= MAX_SCORES
    assert scores.get(str(MAX_SCORES + 4999), 0.0) == 1.0
    assert scores.get("0", 0.0) == 0.0
    guessing = make()
    for number in range(MAX_PLACES + 10):
        guessing.succeeded("101", f"h{number}", 1)
    assert len(guessing._places) == len(guessing._hosts) == MAX_PLACES


def test_what_has_faded_makes_room_first() -> None:
    scores = Scores(1.0)
    for number in range(MAX_SCORES - 1):
        scores.add(str(number), 0.0)
    scores.add("fresh", 100.0)
    scores.add("more", 100.0)
    assert len(scores) == 2
