"""Who may come in."""

import pytest

from tunesmith.reports.live.door import Door, from_here, new_token, same

OPEN, SHUT = Door(), Door(host="0.0.0.0", token="a-long-token", names=frozenset({"lab.example"}))


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765"])
def test_this_machine_is_known_by_its_own_names(host: str) -> None:
    assert OPEN.knows(host)
    assert SHUT.knows(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", None, "localhost.evil.example"]
)
def test_a_name_that_somebody_else_made_is_not_known(host: str | None) -> None:
    assert not OPEN.knows(host)
    assert not SHUT.knows(host)


def test_with_a_token_numbers_and_named_names_are_known() -> None:
    assert SHUT.knows("192.0.2.7:8765")
    assert SHUT.knows("lab.example:80")
    assert not OPEN.knows("192.0.2.7:8765")


def test_the_token_comes_by_header_cookie_or_address() -> None:
    ways = [
        ({"authorization": "Bearer a-long-token"}, ""),
        ({"cookie": "other=1; tunesmith-live-8765=a-long-token"}, ""),
        ({}, "a-long-token"),
    ]
    wrong = [
        ({}, ""),
        ({"authorization": "Bearer a-long-toke"}, ""),
        ({"authorization": "Basic a-long-token"}, ""),
        ({"cookie": "tunesmith-live-8766=a-long-token"}, ""),
        ({}, "a-long-token\udcff"),
    ]

    assert [SHUT.opens(headers, 8765, given) for headers, given in ways] == [True] * 3
    assert [SHUT.opens(headers, 8765, given) for headers, given in wrong] == [False] * 5
    assert OPEN.opens({}, 8765)


def test_tokens_are_long_and_never_the_same() -> None:
    made = {new_token() for _ in range(50)}

    assert len(made) == 50
    assert min(map(len, made)) >= 32
    assert same("ü", "ü")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "127.0.0.1:1", "origin": "http://127.0.0.1:1"}, True),
        ({"host": "127.0.0.1:1", "origin": "http://127.0.0.1:1", "sec-fetch-site": "same-origin"}, True),
        ({"host": "127.0.0.1:1", "origin": "http://127.0.0.1:2"}, False),
        ({"host": "127.0.0.1:1", "origin": "null"}, False),
        ({"host": "127.0.0.1:1", "origin": "http://127.0.0.1:1", "sec-fetch-site": "cross-site"}, False),
        ({"host": "127.0.0.1:1"}, False),
        ({"host": "", "origin": ""}, False),
    ],
)
def test_a_button_counts_only_on_a_page_of_this_server(headers: dict[str, str], expected: bool) -> None:
    assert from_here(headers) == expected
