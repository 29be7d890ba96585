"""One file per benchmark, each with `measure(scale) -> Result`, in the order of the table."""
