"""Kernels: arrays in, arrays out, compiled by Numba. They know neither Arrow tables nor stages.

Each kernel stands beside a slow reference or a library in its test, which is its specification.
"""
