"""CSV of any length, made while it is sent: RFC 4180 with a header line, UTF-8, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence

from shared.kernel.http.csv_cells import safe_cell

ROWS_MAX = 1_000_000
"""Also what a spreadsheet holds. On Azure a response is held in memory until it is complete."""

CHUNK_CHARACTERS = 64 * 1024
TRUNCATED = f"TRUNCATED: there are more than {ROWS_MAX} rows. Ask for a shorter range."


async def csv_lines(columns: Sequence[str], rows: AsyncIterator[Mapping[str, object]]) -> AsyncIterator[bytes]:
    """Write rows as chunks of lines; a row's missing values and None are empty cells. After ROWS_MAX rows a last line
    says so."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    written = 0
    async for row in rows:
        if written == ROWS_MAX:
            writer.writerow([TRUNCATED])
            break
        writer.writerow([safe_cell(row.get(column)) for column in columns])
        written += 1
        if text.tell() >= CHUNK_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()
