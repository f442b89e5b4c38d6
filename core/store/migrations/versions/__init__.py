"""Alembic revisions. The number of a revision is the schema version it makes.

To change a table: change `core/store/schema.py`, raise `SCHEMA_VERSION`, add a file here, and
run `python -m tests.released` before a release. A new state is made whole from
`schema.py`; a test demands that both ways come to the same tables.
"""
