; link: the buffer holds one vector when the second arrives.
.machine superlanes = 1
.machine c2c_buffer_vectors = 1
.cable 0 1
.data mem.w40 0 iota 3 1
.data mem.w40 1 iota 7 2
.queue mem.w40
read 0, w0
repeat 1, 24, 1
sync
.queue c2c.w0
nop 2
send w0, 0
repeat 1, 24, 0
sync
.queue c2c.e0
nop 300
receive w0, 1
nop 1
receive w0, 1
sync
.expect fault link cycle 243 queue c2c.e0
