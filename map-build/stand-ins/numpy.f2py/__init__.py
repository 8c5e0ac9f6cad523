"""A stand-in for what builds extensions from Fortran, which SciPy loads with all parts of NumPy that NumPy lists.

It saves 0.05 s at each start; no MAP has a compiler.
"""
