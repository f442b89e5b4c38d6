"""Only a manifest, mappings and a fake; the engine is connectors.http_json."""
