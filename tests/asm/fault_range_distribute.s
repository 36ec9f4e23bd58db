; range: a map entry is 0..15 or 255.
.machine superlanes = 1
.data mem.e40 0 bytes 0 1 16
.queue mem.e40
read 0, e0
sync
.queue sxm.e.distribute0
nop 6
distribute e0, w0, e0
sync
.expect fault range cycle 6 queue sxm.e.distribute0
