//! Documents as text: YAML and JSON read within bounds, every value with its place; diagnostics
