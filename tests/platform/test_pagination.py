"""Page tokens fit the list they were made for, and no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.catalog.v1.catalog_service_pb2 import ListModelsRequest, ListNamespacesRequest
from greenroomd.platform.errors import InvalidArgument
from greenroomd.platform.pagination import PageRequest, next_page_token, read_page

REQUEST = ListModelsRequest(parent="namespaces/demo", page_size=10, min_revision=3)


def after(request: ListModelsRequest, token: str, **changes: object) -> PageRequest:
    following = ListModelsRequest()
    following.CopyFrom(request)
    following.MergeFrom(ListModelsRequest(page_token=token, **changes))  # type: ignore[arg-type]
    return read_page(following)


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4).map(tuple))
def test_a_token_leads_to_where_it_was_made(position: tuple[str, ...]) -> None:
    token = next_page_token(REQUEST, position)
    assert after(REQUEST, token) == PageRequest(10, position)
    # How much, and how fresh, may change from page to page.
    assert after(REQUEST, token, page_size=20, min_revision=9) == PageRequest(20, position)


def test_the_last_page_has_no_token() -> None:
    assert next_page_token(REQUEST, None) == ""


@pytest.mark.parametrize(("asked", "size"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_page_sizes(asked: int, size: int) -> None:
    assert read_page(ListNamespacesRequest(page_size=asked)) == PageRequest(size)


def test_a_token_of_another_list_is_refused() -> None:
    token = next_page_token(REQUEST, ["digits"])
    with pytest.raises(InvalidArgument, match="page_token"):
        after(ListModelsRequest(parent="namespaces/other"), token)
    with pytest.raises(InvalidArgument, match="page_token"):
        read_page(ListNamespacesRequest(page_token=token))


@given(st.text(min_size=1, max_size=60))
def test_any_other_text_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        after(REQUEST, token)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_every_changed_character_shows() -> None:
    token = next_page_token(REQUEST, ["digits", "7"])
    for index, character in enumerate(token[:-1]):
        changed = token[:index] + ("A" if character != "A" else "B") + token[index + 1 :]
        with pytest.raises(InvalidArgument):
            after(REQUEST, changed)
