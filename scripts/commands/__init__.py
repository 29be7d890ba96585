"""The operator's commands: `scripts/ams NAME` calls `app` of the module `name`, which is imported only then.

A command reads its options, calls what the product or a package beside this one offers, prints the outcome, and ends
with an exit code: 0, or what its module names. Results go to standard output and everything else to standard error.
Business rules are in `shared/`; formats of files are in `scripts/seeding/` and `scripts/replay/`.
"""
