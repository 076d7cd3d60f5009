"""Mutation testing on demand: cosmic-ray's mutants of minidl and attacks, and which of them no test notices."""
