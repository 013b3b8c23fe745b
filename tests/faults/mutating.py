"""Inputs for fuzzing: bytes changed at random, and documents and lines of text changed by their structure."""

import json
import random
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
"""Integers at the edges of their types."""
WORDS = (b"-1", b"0", b"1e999", b"nan", b"-inf", b"99999999999999999999", b"1e-400", b"0x10", b"", b"\xc2\xb2", b"../x")
"""What numbers in text become."""


def mutate(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """One of the seeds after one to six random changes."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        change = rng.choice(_CHANGES)
        content = change(content, rng, seeds)[: 2**20]
    return bytes(content)


def _place(content: bytearray, rng: random.Random) -> int:
    """Half of all places lie among the first 200 bytes, where headers are."""
    length = len(content) or 1
    return rng.randrange(min(length, 200)) if rng.random() < 0.5 else rng.randrange(length)


def _flip(content: bytearray, rng: random.Random, _: Sequence[bytes]) -> bytearray:
    if content:
        content[_place(content, rng)] ^= 1 << rng.randrange(8)
    return content


def _set(content: bytearray, rng: random.Random, _: Sequence[bytes]) -> bytearray:
    if content:
        content[_place(content, rng)] = rng.choice(
            (0, 1, 10, 32, 34, 47, 48, 57, 92, 127, 128, 255, rng.randrange(256))
        )
    return content


def _set_number(content: bytearray, rng: random.Random, _: Sequence[bytes]) -> bytearray:
    size, start = rng.choice((2, 4, 4, 8)), _place(content, rng)
    number = rng.choice(NUMBERS) % 2 ** (8 * size)
    content[start : start + size] = number.to_bytes(size, rng.choice(("little", "big")))
    return content


def _cut(content: bytearray, rng: random.Random, _: Sequence[bytes]) -> bytearray:
    return content[: _place(content, rng)]


def _delete(content: bytearray, rng: random.Random, _: Sequence[bytes]) -> bytearray:
    start = _place(content, rng)
    del content[start : start + rng.choice((1, 2, 4, 16, 100))]
    return content


def _insert(content: bytearray, rng: random.Random, _: Sequence[bytes]) -> bytearray:
    start = _place(content, rng)
    content[start:start] = rng.randbytes(rng.choice((1, 2, 4, 16)))
    return content


def _repeat(content: bytearray, rng: random.Random, _: Sequence[bytes]) -> bytearray:
    start = _place(content, rng)
    content[start:start] = content[start : start + rng.choice((1, 4, 16, 100))] * rng.choice((1, 2, 50))
    return content


def _splice(content: bytearray, rng: random.Random, seeds: Sequence[bytes]) -> bytearray:
    other = rng.choice(seeds)
    return content[: _place(content, rng)] + other[_place(bytearray(other), rng) :]


def _change_word(content: bytearray, rng: random.Random, _: Sequence[bytes]) -> bytearray:
    numbers = list(re.finditer(rb"-?\d[\d.]*", content[:20000]))
    if not numbers:
        return content
    chosen = rng.choice(numbers)
    word = rng.choice((*WORDS, str(rng.choice(NUMBERS)).encode()))
    return content[: chosen.start()] + word + content[chosen.end() :]


_CHANGES = (_flip, _flip, _set, _set_number, _set_number, _cut, _delete, _insert, _repeat, _splice, _change_word)


def _texts() -> SearchStrategy[str]:
    odd = ("", "../x", "a\u2028b", "\0", "=1+1", "x" * 3000, "%n", "\ud800".encode("utf-8", "replace").decode(), "²")
    return st.one_of(st.sampled_from(odd), st.text(max_size=8))


def _scalars() -> SearchStrategy[Any]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.sampled_from((*NUMBERS, -1, 10**400)),
        st.floats(),
        _texts(),
    )


def _documents() -> SearchStrategy[Any]:
    nested = st.recursive(
        _scalars(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts(), inner, max_size=4),
        max_leaves=6,
    )
    return st.one_of(nested, nested, st.sampled_from((5, 99, 101, 500, 3000)).map(lambda depth: f"{depth} lists"))


def altered_json(seed: bytes) -> SearchStrategy[bytes]:
    """The document with one to three of its parts replaced, removed, renamed or repeated."""
    changes = st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from(("set", "drop", "name", "twice")), _documents())
    )
    return changes.map(lambda chosen: _dump(_alter(json.loads(seed), chosen[:3])))


def altered_lines(seed: bytes) -> SearchStrategy[bytes]:
    """Each line a JSON document of the seed's, altered or not."""
    lines = [altered_json(line) | st.just(line) for line in seed.splitlines()]
    return st.tuples(*lines).map(b"\n".join)


def _dump(document: Any) -> bytes:
    """The document as JSON; "7 lists" becomes that many lists one inside another."""
    text = json.dumps(document).encode()
    return re.sub(rb'"(\d+) lists"(?!:)', lambda match: b"[" * int(match[1]) + b"]" * int(match[1]), text)


def _alter(document: Any, changes: Sequence[tuple[int, str, Any]]) -> Any:
    for number, kind, value in changes:
        places = list(_places(document))
        if not places:
            return value
        holder, key = places[number % len(places)]
        if kind == "drop":
            del holder[key]
        elif kind == "name" and isinstance(holder, dict):
            holder[value if isinstance(value, str) else "another"] = holder.pop(key)
        elif kind == "twice" and isinstance(holder, list):
            holder.append(holder[key])
        else:
            holder[key] = value
    return document


def _places(document: Any, depth: int = 0):
    """(container, key) of every part of a document."""
    if depth > 20:
        return
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(items):
        yield document, key
        yield from _places(value, depth + 1)


def token_text(*seeds: bytes) -> SearchStrategy[bytes]:
    """Lines made of words of the seeds, numbers and odd text, some of them lines of a seed as they are."""
    lines = sorted({line for seed in seeds for line in seed.splitlines()})[:60]
    words = sorted({word for line in lines for word in line.split()})[:80]
    word = st.one_of(st.sampled_from(words), st.sampled_from(WORDS), _texts().map(lambda text: text.encode()))
    made = st.lists(word, max_size=6).map(b" ".join)
    return st.lists(st.sampled_from(lines) | made, max_size=20).map(b"\n".join)


def warm_up() -> None:
    """Let hypothesis make the tables that it needs, which takes seconds, before processes are forked."""

    @settings(max_examples=20, database=None, deadline=None, phases=[Phase.generate])
    @given(altered_json(b'{"a": 1}'), token_text(b"a b"))
    def make(document: bytes, text: bytes) -> None:
        pass

    make()
