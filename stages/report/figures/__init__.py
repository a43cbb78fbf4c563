"""The figures of the page, one file each: deterministic SVG that reads on light and dark hosts."""
