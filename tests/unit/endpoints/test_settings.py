"""[[engine.endpoints]] in a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from realign_daemon.config import load
from realign_daemon.endpoints.settings import EndpointSettings
from realign_daemon.endpoints.url import read_url
from realign_daemon.errors import BadConfig


def config_of(tmp_path: Path, text: str) -> tuple[EndpointSettings, ...]:
    file = tmp_path / "realign.toml"
    file.write_text(text)
    return load(file=file).engine.endpoints


def test_endpoints_are_read_with_their_defaults(tmp_path: Path) -> None:
    text = '[[engine.endpoints]]\nname = "vllm"\nurl = "https://gpu.lan/v1"\nmodels = { big = "Qwen/Qwen3-32B" }\n'
    assert config_of(
        tmp_path, text + 'api_key_env = "GPU_KEY"\n[[engine.endpoints]]\nname = "o"\nurl = "http://o:11434"'
    ) == (
        EndpointSettings(
            name="vllm", url=read_url("https://gpu.lan"), models={"big": "Qwen/Qwen3-32B"}, api_key_env="GPU_KEY"
        ),
        EndpointSettings(name="o", url=read_url("http://o:11434")),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "a"', "a name and a url"),
        ('name = "a"\nurl = "http://me:sesame@host"', "api_key_env"),
        ('name = "a"\nurl = "http://host"\napi_key = "sesame"', "api_key"),
        ('name = "a"\nurl = "http://host"\nconcurrency = 0', "concurrency"),
        ('name = "a"\nurl = "http://host"\nmodels = ["x"]', "table"),
        ('name = "a"\nurl = "http://host"\n[[engine.endpoints]]\nname = "a"\nurl = "http://other"', "name of its own"),
    ],
)
def test_what_is_wrong_with_an_endpoint_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadConfig, match=says) as refused:
        config_of(tmp_path, f"[[engine.endpoints]]\n{text}")
    assert "sesame" not in str(refused.value)
