; scatter: each superlane to its own word; 65535 leaves the superlane out; the rest of a word is untouched.
.machine superlanes = 3
.data mem.e0 0 iota 0 1
.data mem.e1 1 bytes 1 0 9 9 9 9 9 9 9 9 9 9 9 9 9 9 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 255 255
.data mem.e4 101 fill 200
.queue mem.e0
read 0, e0
sync
.queue mem.e1
read 1, e1
sync
.queue mem.e4
nop 2
scatter 100, e0, e1
sync
.expect mem.e4 100 fill 0
.expect mem.e4 101 bytes 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
.expect mem.e4 102 bytes 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
.expect cycles 4
