"""The library that draws is not made for threads: documents are drawn one after the other, whoever asks for them."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.billing.documents import credit_note_pdf as note_pdf
from shared.billing.documents import invoice_pdf as pdf
from tests.support.billing import document_samples as samples

MEET_S = 0.5


def test_no_two_documents_are_drawn_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    invoice, note = samples.rich(), samples.note()
    alone = pdf.render_pdf(invoice, None), note_pdf.render_note_pdf(note, None)
    met: list[int] = []
    other = threading.Barrier(2)

    def waiting(build: Callable[..., bytes]) -> Callable[..., bytes]:
        def wait(*args: Any) -> bytes:
            with contextlib.suppress(threading.BrokenBarrierError):  # nobody came: as it must be
                met.append(other.wait(MEET_S))
            return build(*args)

        return wait

    for module in (pdf, note_pdf):
        monkeypatch.setattr(module, "build", waiting(module.build))
    with ThreadPoolExecutor(2) as pool:
        drawn = [pool.submit(pdf.render_pdf, invoice, None), pool.submit(note_pdf.render_note_pdf, note, None)]
    assert tuple(each.result() for each in drawn) == alone
    assert met == []
