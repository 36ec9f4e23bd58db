; link: link 2 has no cable.
.machine superlanes = 1
.cable 0 1
.data mem.w40 0 iota 3 1
.data mem.w40 1 iota 7 2
.queue mem.w40
read 0, w0
sync
.queue c2c.w0
nop 2
send w0, 2
sync
.expect fault link cycle 2 queue c2c.w0
