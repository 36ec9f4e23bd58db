; range: map entry 65534 is not the one that skips.
.machine superlanes = 1
.data mem.e0 0 bytes 254 255
.queue mem.e0
read 0, e0
sync
.queue mem.e4
nop 2
gather 0, e1, e0
sync
.expect fault range cycle 2 queue mem.e4
