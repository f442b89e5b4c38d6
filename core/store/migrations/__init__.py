"""Schema migrations, one file each; how they are run is `core/store/migrate.py`."""
