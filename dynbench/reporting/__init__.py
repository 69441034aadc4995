"""From records to tables: what a paper prints, what was measured, and the difference. Imports no torch."""
