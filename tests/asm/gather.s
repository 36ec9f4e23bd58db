; gather: each superlane from its own word; 65535 gives zeros. Two cycles to the stream.
.machine superlanes = 3
.data mem.e4 100 fill 1
.data mem.e4 101 fill 2
.data mem.e4 357 fill 3
.data mem.e0 0 bytes 1 0 9 9 9 9 9 9 9 9 9 9 9 9 9 9 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 255 255
.queue mem.e0
read 0, e0
sync
.queue mem.e4
nop 2
gather 100, e1, e0
sync
.queue mem.e8
nop 5
write 0, e1
sync
.expect mem.e8 0 bytes 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 0
.expect cycles 7
