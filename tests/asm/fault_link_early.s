; link: one cycle before the vector arrives.
.machine superlanes = 1
.cable 0 1
.data mem.w40 0 iota 3 1
.data mem.w40 1 iota 7 2
.queue mem.w40
read 0, w0
sync
.queue c2c.w0
nop 2
send w0, 0
sync
.queue c2c.e0
nop 218
receive w0, 1
sync
.expect fault link cycle 218 queue c2c.e0
