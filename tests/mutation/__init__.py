"""Mutation testing on demand: which of cosmic-ray's mutants of minidl and attacks does no test detect?"""
