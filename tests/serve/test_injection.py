"""Texts that want to be more than texts, as titles and as what people say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hostile_words import PAYLOADS
from tiny_server import Served, hash_encoders, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        hash_encoders(patch)
        with serving(tmp_path_factory.mktemp("serve")) as served:
            yield served


def chunks(text: str) -> list[Any]:
    lines = [line for line in text.split("\n\n") if line]
    assert all(line.startswith("data: ") and "\n" not in line for line in lines) and lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_whatever_people_say_items_are_of_the_candidates_and_the_stream_is_one(server: Served) -> None:
    withdrawn = {f"i{k}" for k in range(0, 12, 2)}
    server.admin.put("/admin/items", json={"withdrawn": sorted(withdrawn)}).raise_for_status()
    candidates = {f"i{k}" for k in range(1, 12, 2)}
    browser, _ = server.browser()
    shown = 0
    for text in PAYLOADS:
        messages = [
            {"role": "user", "content": "a film please"},
            {"role": "assistant", "content": text},
            {"role": "user", "content": text},
        ]
        answer = browser.post("/v1/chat/completions", json={"messages": messages, "stream": True})
        assert answer.status_code == 200
        told = chunks(answer.text)[-1]["recommendations"]
        assert set(told) == {
            *("exposure_id", "signature", "session_id", "turn"),
            *("policy_version", "catalog_version", "items"),
        }
        assert {item["id"] for item in told["items"]} <= candidates
        assert [item["position"] for item in told["items"]] == list(range(1, len(told["items"]) + 1))
        shown += bool(told["items"])
    assert shown > 10
    server.admin.put("/admin/items", json={}).raise_for_status()


def test_hostile_titles_are_items_like_others_and_come_out_as_they_went_in(server: Served) -> None:
    titles = {f"h{k}": " ".join(text.split()) for k, text in enumerate(PAYLOADS)}
    added = [{"id": id, "title": title, "text": title} for id, title in titles.items()]
    changes = {"added": added, "withdrawn": [f"i{k}" for k in range(11)]}
    server.admin.put("/admin/items", json=changes).raise_for_status()
    browser, _ = server.browser()
    hostile = 0
    for k in range(20):
        body = {"messages": [{"role": "user", "content": f"a film please {k}"}], "stream": True}
        items = chunks(browser.post("/v1/chat/completions", json=body).text)[-1]["recommendations"]["items"]
        assert {item["id"] for item in items} <= {"i11", *titles}
        for item in items:
            hostile += item["id"] in titles
            assert item["title"] == titles.get(item["id"], item["title"])
    assert hostile > 5
    catalog = server.state.live.served["tacit"].policy.catalog
    assert all(catalog[id].title == title for id, title in titles.items())
    server.admin.put("/admin/items", json={}).raise_for_status()
