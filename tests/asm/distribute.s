; distribute: any of a superlane's 16 lanes to each, several times too; 255 gives zero. Two cycles.
.machine superlanes = 2
.data mem.w40 0 iota 100 1
.data mem.w41 0 bytes 15 14 0 0 0 255 1 2 3 4 5 6 7 8 9 10  0 1 2 3 3 3 3 3 3 3 3 3 3 3 3 255
.queue mem.w40
read 0, w0
sync
.queue mem.w41
read 0, w1
sync
.queue sxm.w.distribute3
nop 6
distribute w0, e0, w1
sync
.queue mem.w36
nop 14
write 0, e0
sync
.expect mem.w36 0 bytes 115 114 100 100 100 0 101 102 103 104 105 106 107 108 109 110  116 117 118 119 119 119 119 119 119 119 119 119 119 119 119 0
.expect cycles 16
