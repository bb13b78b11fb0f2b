"""The local model behind OpenAI's interface: the real model, over HTTP."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from psycopg import connect
from rest import Service, Tenant, create_tenant, running

from ragdb.embeddings.minilm import MODEL, MiniLM, table_model


@pytest.fixture(scope="module")
def embedding(
    shared: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service with the local model."""
    directory = tmp_path_factory.mktemp("embeddings")
    with running(shared.url, directory, "--embeddings") as service:
        yield service


@pytest.fixture
def client(shared: SimpleNamespace, embedding: Service) -> Iterator[httpx.Client]:
    tenant: Tenant = create_tenant(shared.superuser_url, embedding, "vectors")
    with tenant.http:
        yield tenant.http


def embed(client: httpx.Client, given: object, **fields: object) -> dict[str, Any]:
    response = client.post("/v1/embeddings", json={"input": given, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def vectors(answer: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.array([one["embedding"] for one in answer["data"]])


def refused(response: httpx.Response, status: int, code: str) -> None:
    """Assert that a refusal has the shape that clients of OpenAI read."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code, error
    assert error["message"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] is None


def test_one_text(client: httpx.Client) -> None:
    answer = embed(client, "How do I rotate keys?")
    assert answer["object"] == "list"
    assert answer["model"] == table_model()
    assert answer["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
    [found] = answer["data"]
    assert (found["object"], found["index"], len(found["embedding"])) == ("embedding", 0, 256)
    assert np.linalg.norm(found["embedding"]) == pytest.approx(1, abs=1e-5)


def test_texts_alike_have_vectors_alike(client: httpx.Client) -> None:
    near, same, far = vectors(
        embed(client, ["A cat sits on the mat.", "The kitten is on a rug.", "Interest rates rose."])
    )
    assert near @ same > 0.5 > near @ far


def test_vectors_lie_in_the_space_of_the_table(
    client: httpx.Client, shared: SimpleNamespace
) -> None:
    """The database's own vector of a text points where the model's points, and not elsewhere."""
    texts = [
        "Rotate the signing keys of the service every ninety days.",
        "The recipe wants two eggs, flour and a little butter.",
        "Photosynthesis turns light into chemical energy.",
    ]
    with connect(shared.superuser_url) as connection:
        table = np.array(
            [
                connection.execute("select ragdb.embed(%s)::real[]", (text,)).fetchone()[0]  # type: ignore[index]
                for text in texts
            ]
        )
    cosines = vectors(embed(client, texts)) @ table.T
    assert cosines.diagonal().min() > 0.6
    assert (cosines - np.eye(3) * 2).max() < 0.4


def test_the_model_as_it_is(client: httpx.Client) -> None:
    text = "How do I rotate keys?"
    raw = embed(client, text, model=MODEL)
    assert raw["model"] == MODEL
    assert vectors(raw).shape == (1, 384)
    projected = embed(client, text, model=MODEL, dimensions=256)
    assert vectors(projected) == pytest.approx(vectors(embed(client, text)))
    assert [m["id"] for m in client.get("/v1/models").json()["data"]] == [table_model(), MODEL]


def test_base64_holds_the_same_numbers(client: httpx.Client) -> None:
    [plain] = vectors(embed(client, "keys"))
    [packed] = embed(client, "keys", encoding_format="base64")["data"]
    assert np.frombuffer(base64.b64decode(packed["embedding"]), "<f4") == pytest.approx(plain)


def test_a_vector_does_not_depend_on_its_neighbours(client: httpx.Client) -> None:
    [alone] = vectors(embed(client, ["keys"]))
    together = vectors(embed(client, ["A longer text about something else.", "keys"]))
    assert together[1] == pytest.approx(alone, abs=1e-6)


def test_long_texts_are_read_to_the_limit(client: httpx.Client) -> None:
    answer = embed(client, ["word " * 5000, "word " * 254])
    assert answer["usage"]["prompt_tokens"] == 2 * 256
    first, second = vectors(answer)
    assert (first == second).all()


def test_a_query_does_not_wait_for_a_batch(client: httpx.Client) -> None:
    texts = [f"Paragraph {n} of a long document about many things." for n in range(200)]
    with ThreadPoolExecutor() as pool:
        batch = pool.submit(embed, client, texts)
        embed(client, "keys")
        assert not batch.done()
        assert len(batch.result()["data"]) == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"input": []}, 422, "invalid_input"),
        ({"input": ""}, 422, "invalid_input"),
        ({"input": ["good", "  "]}, 422, "invalid_input"),
        ({"input": [1012, 2054]}, 422, "invalid_input"),
        ({"input": ["x"] * 257}, 422, "invalid_input"),
        ({"input": "x", "model": "text-embedding-3-small"}, 404, "unknown_model"),
        ({"input": "x", "dimensions": 128}, 422, "unknown_dimensions"),
        ({"input": "x", "dimensions": 384}, 422, "unknown_dimensions"),
        ({"input": "x", "encoding_format": "hex"}, 422, "unknown_encoding_format"),
        ({"input": 5}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"input": "x" * 4_000_000}, 413, "body_too_large"),
    ],
)
def test_refusals(client: httpx.Client, body: object, status: int, code: str) -> None:
    refused(client.post("/v1/embeddings", json=body), status, code)


def test_a_key_is_needed(embedding: Service) -> None:
    for key, code in ((None, "missing_api_key"), ("rdb_wrong", "invalid_api_key")):
        with embedding.client(key) as client:
            refused(client.post("/v1/embeddings", json={"input": "x"}), 401, code)
            refused(client.get("/v1/models"), 401, code)


def test_the_description_names_it(rest: Service, embedding: Service) -> None:
    paths = httpx.get(f"{embedding.url}/schema/openapi.json").json()["paths"]
    assert {"/v1/embeddings", "/v1/models"} <= paths.keys()
    ordinary = httpx.get(f"{rest.url}/schema/openapi.json").json()["paths"]
    assert not {path for path in ordinary if path.startswith("/v1")}
    assert httpx.post(f"{rest.url}/v1/embeddings", json={"input": "x"}).status_code == 404


def test_the_service_does_not_load_what_it_does_not_offer() -> None:
    script = (
        "import sys, ragdb.http.app, ragdb.embeddings.minilm;"
        "print(sorted({'onnxruntime', 'tokenizers', 'numpy'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_without_the_extra_it_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from ragdb_cli.app import run; sys.exit(run(['serve', '--embeddings']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True,
        env={"RAGDB_DATABASE_URL": "postgresql://nowhere.invalid/x", "RAGDB_HOME": "/nowhere"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "ragdb[local]" in done.stderr


def test_threads_make_no_difference() -> None:
    text = ["The number of threads is a matter of speed."]
    one, two = (MiniLM(threads).encode(text).vectors for threads in (1, 2))
    assert one == pytest.approx(two, abs=1e-5)
