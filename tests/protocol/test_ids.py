"""Ids have one form, share the partition of their response, and cannot be guessed."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream.errors import InvalidValue
from responses_stream.protocol.ids import (
    ITEM_PREFIXES,
    is_response_id,
    new_id,
    new_item_id,
    new_response_id,
    partition_of,
)

PARTITION: Final = "0123456789abcdef00"
ENTROPY: Final = "f" * 32
LEGACY: Final = f"caresp_{'e' * 32}fedcba9876543210"
FORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*_[0-9a-f]{16}00[0-9a-f]{32}\Z")


def test_an_id_is_a_prefix_a_partition_of_18_and_32_characters_of_entropy() -> None:
    # H17.40
    made = new_response_id()
    assert FORM.match(made)
    assert made.startswith("resp_")
    assert len(made.partition("_")[2]) == 50


def test_the_prefix_of_a_response_id_is_an_option() -> None:
    # decision 18
    made = new_response_id(prefix="caresp")
    assert made.startswith("caresp_")
    assert FORM.match(made)


@pytest.mark.parametrize(
    "hint", [f"resp_{PARTITION}{ENTROPY}", f"caresp_{PARTITION}{ENTROPY}", f"conv_{PARTITION}{ENTROPY}"]
)
def test_a_new_id_takes_the_partition_of_its_hint(hint: str) -> None:
    # H17.42, H9.17
    made = new_response_id(hint)
    assert partition_of(made) == PARTITION == partition_of(hint)
    assert made != new_response_id(hint)


def test_a_hint_in_the_older_form_has_its_partition_at_the_end() -> None:
    # H17.41
    assert partition_of(LEGACY) == "fedcba987654321000"
    made = new_response_id(LEGACY)
    assert FORM.match(made)
    assert partition_of(made) == "fedcba987654321000"


@pytest.mark.parametrize(
    "hint",
    [None, "", "resp_", "resp", "resp_01", "conv_abc", "resp_" + "x" * 49, "resp_" + "x" * 51, "resp_" + "-" * 50],
)
def test_a_hint_of_another_form_counts_as_none(hint: str | None) -> None:
    one, other = new_response_id(hint), new_response_id(hint)
    assert FORM.match(one)
    assert partition_of(one) != partition_of(other)
    assert hint is None or partition_of(hint) is None


def test_the_partition_may_be_any_letters_and_digits() -> None:
    # Ids of others are opaque: only their length and alphabet count.
    partition = "AbCdEfGhIjKlMnOpQr"
    assert partition_of(f"x_y_{partition}{ENTROPY}") == partition
    assert partition_of(new_id("msg", f"resp_{partition}{ENTROPY}")) == partition


def test_all_items_of_a_response_and_all_that_continue_it_share_its_partition() -> None:
    first = new_response_id()
    second = new_response_id(first)
    made = [second, *(new_item_id(kind, second) for kind in [*ITEM_PREFIXES, "acme:search_result"])]
    assert {partition_of(identifier) for identifier in made} == {partition_of(first)}
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        # H17.43
        ("message", "msg"),
        ("output_message", "om"),
        ("function_call", "fc"),
        ("structured_outputs", "fc"),
        ("function_call_output", "fco"),
        ("reasoning", "rs"),
        ("file_search_call", "fs"),
        ("web_search_call", "ws"),
        ("code_interpreter_call", "ci"),
        ("image_generation_call", "ig"),
        ("mcp_call", "mcp"),
        ("mcp_list_tools", "mcpl"),
        ("mcp_approval_request", "mcpr"),
        ("mcp_approval_response", "mcpa"),
        ("custom_tool_call", "ctc"),
        ("custom_tool_call_output", "ctco"),
        ("computer_call", "cu"),
        ("computer_call_output", "cuo"),
        ("local_shell_call", "lsh"),
        ("local_shell_call_output", "lsho"),
        ("shell_call", "lsh"),
        ("shell_call_output", "lsho"),
        ("apply_patch_call", "ap"),
        ("apply_patch_call_output", "apo"),
        ("compaction", "cmp"),
        ("workflow_action", "wfa"),
        # items.md section 3, where the platform has no word
        ("tool_search_call", "tsc"),
        ("tool_search_output", "tso"),
        ("program", "cm"),
        ("program_output", "cmo"),
        # and what nobody names
        ("acme:search_result", "item"),
        ("memory_search_call", "item"),
    ],
)
def test_the_prefix_of_an_item_id_tells_its_type(kind: str, prefix: str) -> None:
    made = new_item_id(kind, new_response_id())
    assert made.partition("_")[0] == prefix
    assert FORM.match(made)


def test_ten_thousand_ids_of_one_partition_are_all_different() -> None:
    hint = new_response_id()
    assert len({new_item_id("message", hint) for _ in range(10_000)}) == 10_000


def test_ten_thousand_partitions_are_all_different() -> None:
    assert len({partition_of(new_response_id()) for _ in range(10_000)}) == 10_000


def test_the_entropy_is_that_of_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    # H17.42: whoever knows one id must not be able to guess the next.
    asked: list[int] = []

    def urandom(size: int) -> bytes:
        asked.append(size)
        return bytes(range(size))

    monkeypatch.setattr("os.urandom", urandom)
    assert new_response_id() == "resp_000102030405060700000102030405060708090a0b0c0d0e0f"
    assert sum(asked) == 24


@pytest.mark.parametrize("prefix", ["", "_", "a_b", "1a", "a b", "resp-1", "é", "resp\n", "a" * 3 + ":"])
def test_a_prefix_is_a_letter_followed_by_letters_and_digits(prefix: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        new_response_id(prefix=prefix)
    assert caught.value.argument == "prefix"
    assert repr(prefix) in str(caught.value)
    with pytest.raises(InvalidValue):
        new_id(prefix)


@pytest.mark.parametrize(
    "identifier",
    [f"resp_{PARTITION}{ENTROPY}", f"caresp_{PARTITION}{ENTROPY}", LEGACY, f"resp_{'Z9' * 25}"],
)
def test_either_prefix_and_either_length_is_valid_where_a_response_id_comes_in(identifier: str) -> None:
    # decision 18
    assert is_response_id(identifier)


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "resp",
        "resp_",
        f"_{PARTITION}{ENTROPY}",
        f"{PARTITION}{ENTROPY}",
        f"msg_{PARTITION}{ENTROPY}",
        f"RESP_{PARTITION}{ENTROPY}",
        f"resp_{PARTITION}{ENTROPY}0",
        f"resp_{PARTITION}{ENTROPY}"[:-1],
        f"resp_{PARTITION}{ENTROPY}\n",
        f"resp__{PARTITION}{ENTROPY}"[:-1],
        f"resp_{PARTITION}{ENTROPY[:-1]}/",  # H8.16l: it could leave a directory
        f"resp_{PARTITION}{ENTROPY[:-1]}é",
        f"resp_{PARTITION}{ENTROPY[:-1]}\x00",
        f"resp_{PARTITION}{ENTROPY[:-1]}٣",  # a digit, but not of ASCII
        "resp_" + "../" * 16 + "ab",
    ],
)
def test_any_other_form_is_not_valid(identifier: str) -> None:
    assert not is_response_id(identifier)


def test_a_prefix_of_our_own_is_valid_besides_the_usual_ones() -> None:
    made = new_response_id(prefix="acme")
    assert is_response_id(made, "acme")
    assert is_response_id(new_response_id(), "acme")
    assert not is_response_id(made)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_no_text_breaks_the_readers_of_ids(text: str) -> None:
    partition = partition_of(text)
    assert partition is None or len(partition) == 18
    assert not is_response_id(text) or partition is not None
    assert FORM.match(new_response_id(text)) or partition is not None


@settings(max_examples=100, deadline=None)
@given(st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,12}", fullmatch=True), st.from_regex(r"[A-Za-z0-9]{50}", fullmatch=True))
def test_whatever_the_prefix_an_id_is_valid_and_keeps_the_partition(prefix: str, body: str) -> None:
    made = new_response_id(f"conv_{body}", prefix)
    assert is_response_id(made, prefix)
    assert partition_of(made) == body[:18]
    assert partition_of(new_item_id("message", made)) == body[:18]
