"""Files: safe reading, atomic writing, size limits, locks, pictures and animations."""
