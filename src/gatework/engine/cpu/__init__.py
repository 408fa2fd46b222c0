"""The compiled engine for the CPU: a cell's equations become machine code at run time, through LLVM.

program.py     what is computed: accumulators, equations, their gradient, what is kept between the two
ir, arithmetic, pointwise, frame, forward, backward, module   code, from the vector functions up to a whole kernel
machine.py, compile.py   for which processor; LLVM, the caches in memory and on disk
schedule.py    which step is computed when, by which thread, in which lane
pack.py, arguments.py, layer.py   one direction of one layer, forward and backward, in chunks
operators.py, twice.py   as torch operators with gradients, and gradients of gradients
backend.py, stream.py    the two ways in: whole sequences, and one step at a time
"""
