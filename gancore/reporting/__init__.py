"""Reports: pages, charts, tables, provenance and preference studies."""
