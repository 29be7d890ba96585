"""Markets to measure with: one service, as many consumers as wanted, one API key each."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.scale import BenchmarkFailed
from benchmarks.systems import ROOT

SERVICE = "ocr"


def consumer_ids(count: int) -> list[str]:
    return [f"con_{number}" for number in range(count)] if count > 1 else ["con"]


def seed(data: Path, consumers: int, upstream: str | None = None) -> list[str]:
    """Load such a market into the installation at `data`. Returns the clear keys, one per consumer, in their order."""
    service: dict[str, object] = {
        "id": "svc_ocr",
        "merchant_id": "mer_bench",
        "slug": SERVICE,
        "name": "OCR",
        "type": "image",
        "status": "active",
    }
    if upstream is not None:
        service |= {"type": "api", "upstream": {"base_url": upstream, "timeout_s": 10}}
    market = {
        "merchants": [{"id": "mer_bench", "slug": "bench", "name": "Bench", "status": "active"}],
        "services": [service],
        "consumers": [
            {
                "id": "con",
                "name": "Consumer",
                "count": consumers,
                "grants": [{"service": SERVICE}],
                "keys": [{"id": "key", "services": [SERVICE]}],
            }
        ],
    }
    file = data.parent / f"{data.name}.market.json"
    file.write_text(json.dumps(market))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AMS_")}
    done = subprocess.run(
        [sys.executable, "-m", "scripts.commands", "seed", "--from", str(file)],
        cwd=ROOT,
        env={**inherited, "AMS_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkFailed(f"seed: {done.stderr}")
    keys = {key["consumer"]: key["key"] for key in json.loads(done.stdout)["keys"]}
    return [keys[consumer] for consumer in consumer_ids(consumers)]
