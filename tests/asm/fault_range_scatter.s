; range: address 8000 + 192 is one past the last word.
.machine superlanes = 1
.data mem.e0 0 bytes 192 0
.queue mem.e0
read 0, e0
sync
.queue mem.e4
nop 2
scatter 8000, e0, e0
sync
.expect fault range cycle 2 queue mem.e4
