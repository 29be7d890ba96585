"""Views: usage as consumers, merchants and operators see it.

`reader` sums usage up from rollups and counters (its docstring has the picture). `consumer`, `merchant` and `platform`
say whose usage somebody may ask for; `figures`, `percentiles` and `spikes` what is said of it; `csv_export` and
`routes` how.

Not here: invoices' quantities (`shared.billing.usage`); reports as files (`shared.reports`).
"""
