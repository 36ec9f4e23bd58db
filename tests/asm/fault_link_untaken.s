; link: the program ends in 3 and nobody received what was sent.
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
.expect fault link cycle 3 queue c2c.e0
