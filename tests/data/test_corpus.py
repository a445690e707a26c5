"""What corpora share with each other: by the published facts, and by sets of clips that a program makes of them."""

from dataclasses import replace
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_data import get_corpus, list_corpora
from sqa_data.corpus import Corpus, in_common, related

NAMES = "abcdefg"
BASE = get_corpus("pstn")


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[Corpus, ...]:
    """Corpora of which each holds some that come before it, or lies over the audio of one that has audio."""
    found: list[Corpus] = []
    for name in NAMES:
        before = [corpus.name for corpus in found]
        contains = tuple(draw(st.lists(st.sampled_from(before), unique=True, max_size=2))) if before else ()
        heard = [corpus.name for corpus in found if not corpus.audio_of]
        audio_of = draw(st.sampled_from([None, *heard]))
        found.append(replace(BASE, name=name, contains=contains, audio_of=audio_of))
    return tuple(draw(st.permutations(found)))


def clips(corpora: tuple[Corpus, ...]) -> dict[str, set[str]]:
    """The clips of each corpus, its own and those of all it is made of, added until nothing changes."""
    found = {corpus.name: set() if corpus.audio_of else {corpus.name} for corpus in corpora}
    for _ in corpora:
        for corpus in corpora:
            for other in (*corpus.contains, corpus.audio_of):
                found[corpus.name] |= found[other] if other else set()
    return found


@settings(max_examples=200, deadline=None)
@given(catalogues())
def test_corpora_are_related_if_a_clip_is_in_both(corpora: tuple[Corpus, ...]) -> None:
    found = clips(corpora)
    with mock.patch("sqa_data.corpus.list_corpora", return_value=corpora):
        for a in NAMES:
            for b in NAMES:
                shared = found[a] & found[b]
                assert related(a, b) == related(b, a) == bool(shared)
                told = in_common(a, b)
                assert set(told) <= shared
                # what is not told is held by what is told
                assert shared == set().union(*(found[name] for name in told)) & shared
                assert not any(x != y and x in found[y] for x in told for y in told)


def test_corpora_that_hold_each_other_end() -> None:
    a, b = replace(BASE, name="a", contains=("b",)), replace(BASE, name="b", contains=("a",))
    with mock.patch("sqa_data.corpus.list_corpora", return_value=(a, b)):
        assert in_common("a", "b") == ("a", "b")
        assert not related("a", "unknown")
        assert related("unknown", "unknown")


def test_samples_of_all_splits() -> None:
    """Of splits without a count the others are what is known at least."""
    assert get_corpus("somos").samples == (20_100, True)
    assert get_corpus("hablamos").samples == (0, False)
    assert get_corpus("bvcc").samples == (7_106, True)
    assert get_corpus("urgent2024-sqa").samples == (244_900, True)  # without the optional split
    assert all(n > 0 or not whole for n, whole in (corpus.samples for corpus in list_corpora()))
