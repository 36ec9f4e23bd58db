; link: the link still carries the first vector, which another queue sent.
.machine superlanes = 1
.cable 0 1
.data mem.w40 0 iota 3 1
.data mem.w40 1 iota 7 2
.queue mem.w40
read 0, w0
repeat 1, 23, 1
sync
.queue c2c.w0
nop 2
send w0, 0
sync
.queue c2c.w1
nop 25
send w0, 0
sync
.expect fault link cycle 25 queue c2c.w1
